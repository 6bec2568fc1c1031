"""Panoramas: recognised, cut into views, left out where north is unknown."""

import functools
import sqlite3

import drawn_photos
import drawn_trees
import pytest
from import_program import cells_path, run
from imported_photos import names

from geods import errors
from geods.imagery.photos import sphere_views
from geods.tree import jpeg, panorama
from tools import check_tree

__all__ = ["cells_path"]
PLACE = drawn_photos.position_tags(40.5, -100.25)
DIRECTION = {16: "T", 17: drawn_photos.rational(180)}
FULL = {"FullPanoWidthPixels": 512, "FullPanoHeightPixels": 256}
THETA = {0x010F: "RICOH", 0x0110: "RICOH THETA SC2"}
WHERE = "6/40.5,-100.25/"
CROPPED = {"CroppedAreaImageWidthPixels": 512, "CroppedAreaImageHeightPixels": 256, **FULL}
xmp = drawn_photos.gpano
sphere, small = (
    functools.partial(drawn_photos.sphere_jpeg, drawn_photos.sphere_frame(width_px)) for width_px in (512, 256)
)


def imported(tmp_path, cells_path, content: bytes, **options) -> dict[str, int]:
    """Imports one file; returns the sector that each view of the tree looks to."""
    (tmp_path / "photos").mkdir(exist_ok=True)
    (tmp_path / "photos" / "sphere.jpg").write_bytes(content)
    run(tmp_path / "photos", tmp_path / "tree", cells_path, **options)
    found = {name: (tmp_path / "tree" / name).read_bytes() for name in names(tmp_path / "tree")}
    return {name.removeprefix(WHERE): drawn_photos.looks_to(view) for name, view in found.items()}


@pytest.mark.parametrize(
    ("content", "north"),
    [
        (sphere(xmp(PoseHeadingDegrees=90, **FULL), gps=PLACE | DIRECTION), 90),
        (sphere(xmp(True, PoseHeadingDegrees="90.0"), gps=PLACE), 90),
        (sphere(xmp(**FULL), gps=PLACE | DIRECTION), 180),
        (sphere(gps=PLACE | DIRECTION, main=THETA), 180),
        # Made smaller by an editor that kept the numbers.
        (small(xmp(PoseHeadingDegrees=270, **CROPPED), gps=PLACE), 270),
    ],
)
def test_views_are_cut_from_north(tmp_path, cells_path, capsys, content, north):
    found = imported(tmp_path, cells_path, content)
    assert found == {f"{heading}.jpg": (heading - north) // 90 % 4 for heading in (0, 90, 180, 270)}
    assert "panoramas, views cut at 0, 90, 180, 270 degrees: 1\n" in capsys.readouterr().out


def test_a_second_run_cuts_nothing_and_a_lost_view_comes_back(tmp_path, cells_path, capsys):
    content = sphere(xmp(PoseHeadingDegrees=90), gps=PLACE)
    first = imported(tmp_path, cells_path, content, headings=(45, -135, 225))
    assert first.keys() == {"45.jpg", "225.jpg"}
    tree = tmp_path / "tree"
    before = {name: (tree / name).read_bytes() for name in names(tree)}
    (tree / names(tree)[0]).unlink()
    assert imported(tmp_path, cells_path, content, headings=(45, 225)) == first
    assert {name: (tree / name).read_bytes() for name in names(tree)} == before
    rows = (tree / "credits.csv").read_text().splitlines()[1:]
    assert [row.split(",")[-3] for row in rows] == ["sphere.jpg"] * 2
    capsys.readouterr()
    imported(tmp_path, cells_path, content, headings=(45, 225))
    assert "0 images imported, 2 were there" in capsys.readouterr().out
    check_tree.main(check_tree.Options(tree=str(tree)))
    assert "bad images: 0\n" in capsys.readouterr().out


def test_views_that_an_error_came_between_are_cut_again(tmp_path, cells_path):
    drawn_photos.write(tmp_path / "photos" / "flat.jpg", 1, 40.5, -97.25)
    run(tmp_path / "photos", tmp_path / "tree", cells_path)
    foreign = tmp_path / "tree" / WHERE / "180.jpg"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("of the user")
    content = sphere(xmp(PoseHeadingDegrees=90), gps=PLACE)
    with pytest.raises(errors.TreeError, match="is there with other bytes"):
        imported(tmp_path, cells_path, content)
    foreign.unlink()
    imported(tmp_path, cells_path, content)
    assert names(foreign.parent) == ["0.jpg", "180.jpg", "270.jpg", "90.jpg"]


def test_journals_of_older_versions_take_panoramas(tmp_path, cells_path):
    drawn_photos.write(tmp_path / "photos" / "flat.jpg", 1, 40.5, -100.25)
    run(tmp_path / "photos", tmp_path / "tree", cells_path)
    with sqlite3.connect(tmp_path / "tree" / "import.sqlite") as journal:
        (text,) = journal.execute("SELECT sql FROM sqlite_master WHERE name = 'photos'").fetchone()
        journal.execute("ALTER TABLE photos DROP COLUMN panorama")
    journal.close()
    assert "panorama INTEGER" in text
    content = sphere(xmp(PoseHeadingDegrees=0), gps=PLACE)
    assert len(imported(tmp_path, cells_path, content)) == 5


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (sphere(xmp(), gps=PLACE), {}, "nothing says where north is"),
        (sphere(xmp(PoseHeadingDegrees=1), gps=PLACE), {"panoramas": "drop"}, "panoramas are left out"),
        (sphere(xmp(ProjectionType="cylindrical"), gps=PLACE), {}, "its projection is cylindrical"),
        (
            drawn_photos.sphere_jpeg(drawn_photos.sphere_frame().resize((300, 100)), drawn_photos.gpano(), gps=PLACE),
            {},
            "its XMP does not say which part",
        ),
    ],
)
def test_panoramas_without_views_are_counted_and_named(tmp_path, cells_path, capsys, content, options, reason):
    assert not imported(tmp_path, cells_path, content, **options)
    assert f"panoramas left out: 1\n  sphere.jpg: {reason}" in capsys.readouterr().out


def test_a_table_gives_the_bearing_of_the_middle(tmp_path, cells_path):
    (tmp_path / "t.csv").write_text("file,lat,lon,heading\nsphere.jpg,40.5,-100.25,270\n")
    content = sphere(xmp(PoseHeadingDegrees=0))
    assert imported(tmp_path, cells_path, content, csv=str(tmp_path / "t.csv"))["270.jpg"] == 0


@pytest.mark.parametrize("shrink", [1, 2])
def test_cropped_spheres_are_padded(shrink):
    """The right half of the frame, from 45 degrees above the horizon to 45 below."""
    part = drawn_photos.sphere_frame().crop((256, 64, 512, 192)).resize((256 // shrink, 128 // shrink))
    crop = {"CroppedAreaImageWidthPixels": 256, "CroppedAreaImageHeightPixels": 128, "CroppedAreaLeftPixels": 256}
    content = drawn_photos.sphere_jpeg(part, drawn_photos.gpano(**FULL, **crop, CroppedAreaTopPixels=64))
    found = panorama.sphere_of(content, part.height, part.width)
    assert (found.left, found.top, found.width, found.height) == (0.5, 0.25, 0.5, 0.5)
    views = dict(sphere_views.cut(content, found, 0.0, (0.0, 90.0, 180.0, 270.0)))
    assert 270.0 not in views
    assert drawn_photos.looks_to(views[90.0]) == 1


def test_tilt_is_levelled():
    """A camera tilted 30 degrees down: the horizon is 30 degrees above the middle."""
    content = sphere(xmp(PosePitchDegrees=-30))
    found = panorama.sphere_of(content, 256, 512)
    assert found.pitch_deg == -30
    level, tilted = (dict(sphere_views.cut(content, each, 0.0, (0.0,)))[0.0] for each in (panorama.Sphere(), found))
    assert level != tilted


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (drawn_trees.jpeg(1, 100, 200), (100, 200)),
        (sphere(main={0x010F: "GoPro", 0x0110: "HERO8 Black"}), (256, 512)),
        (drawn_photos.sphere_jpeg(drawn_photos.sphere_frame().resize((400, 300)), main=THETA), (300, 400)),
        (sphere(b"<x>GPano http://ns.google.com/photos/1.0/panorama/"), (256, 512)),
        (sphere(b"<!DOCTYPE x>" + drawn_photos.gpano()), (256, 512)),
        (sphere(xmp(ProjectionType="", PoseHeadingDegrees=9)), (256, 512)),
    ],
    ids=["no metadata", "another camera", "another shape", "damaged XMP", "document type", "heading alone"],
)
def test_flat_photographs_stay_flat(content, size):
    assert panorama.sphere_of(content, *size) is None


def test_a_wide_picture_with_a_heading_alone_is_no_view():
    content = drawn_photos.sphere_jpeg(drawn_photos.sphere_frame(), xmp(ProjectionType="", PoseHeadingDegrees=9))
    assert panorama.sphere_of(content, 100, 400).problem == "its XMP names no projection"


def test_check_counts_panoramas_of_a_tree(tmp_path):
    (tmp_path / "a.jpg").write_bytes(sphere(xmp()))
    assert jpeg.check_file(tmp_path / "a.jpg").is_panorama

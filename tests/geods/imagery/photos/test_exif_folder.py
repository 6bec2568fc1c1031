"""Folders of photographs: files, order, and files that are left out."""

import drawn_photos
import drawn_trees
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from geods.geo import geometry
from geods.imagery.photos import exif, photo
from geods.tree import imagery_tree


def test_photographs_come_with_their_places_in_order(tmp_path):
    drawn_photos.write(tmp_path / "b" / "two.JPG", 2, 41.5, -97.25, gps={17: drawn_photos.rational(12.5)})
    drawn_photos.write(tmp_path / "b" / "a" / "three.jpeg", 3, -33.9, 18.4, exif={0x9003: "2012:05:31 10:00:00"})
    drawn_photos.write(tmp_path / "z.jpg", 1, 40.5, -100.25, tags={0x013B: "Ada", 0x8298: "CC0-1.0", 0x0112: 3})
    drawn_photos.write(tmp_path / ".hidden" / "no.jpg", 1, 40.5, -100.25)
    drawn_photos.write(tmp_path / "._z.jpg", 1, 40.5, -100.25)
    (tmp_path / "note.txt").write_text("no image")
    found = list(exif.photos(tmp_path))
    assert found == [
        photo.Photo("z.jpg", 40.5, -100.25, creator="Ada", licence="CC0-1.0", source_id="z.jpg", magnetic=False),
        photo.Photo("b/two.JPG", 41.5, -97.25, heading_deg=12.5, source_id="b/two.JPG"),
        photo.Photo("b/a/three.jpeg", -33.9, 18.4, date="2012-05", source_id="b/a/three.jpeg"),
    ]
    assert [item.location_id for item in found] == ["40.5,-100.25", "41.5,-97.25", "-33.9,18.4"]
    assert [item.file for item in exif.photos(tmp_path, lambda file: file != "z.jpg")] == ["z.jpg"]


@pytest.mark.parametrize(
    ("gps", "problem"),
    [
        ({}, "has no GPS position"),
        ({1: "N", 2: (40, 30, 0)}, "has no GPS position"),
        (drawn_photos.position_tags(0.0, 0.0), r"position \(0, 0\) lies in the Atlantic"),
    ],
)
def test_photographs_without_a_place_say_so(tmp_path, gps, problem):
    (tmp_path / "a.jpg").write_bytes(drawn_photos.jpeg(1, gps))
    (item,) = exif.photos(tmp_path)
    assert item.reason == "no_position"
    with pytest.raises(errors.CoordinateError, match=rf"^a\.jpg: {problem}(.|\n)*Next: .*--csv=FILE"):
        raise item.error


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.png", drawn_trees.png(), "is a PNG, not a JPEG"),
        ("a.jpg", drawn_trees.png(), "is a PNG, not a JPEG"),
        ("IMG_1.HEIC", drawn_photos.HEIC, "is a HEIC, not a JPEG"),
        ("a.jpg", drawn_photos.AVIF, "is an AVIF, not a JPEG"),
        ("a.jpg", drawn_photos.HEIC.replace(b"heic", b"qt  "), "is a film or other ISO media file, not a JPEG"),
        ("a.jpg", b"", r"is empty \(0 bytes\)"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "is a damaged JPEG"),
    ],
)
def test_images_that_are_no_jpeg_are_named_with_a_hint(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    (item,) = exif.photos(tmp_path)
    assert item.reason == "bad_image"
    with pytest.raises(errors.ImageError, match=rf"{name}: {kind}(.|\n)*--on_bad_image=skip"):
        raise item.error


def test_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    (item,) = exif.photos(tmp_path)
    with pytest.raises(errors.MissingFileError, match=r"a\.jpg: cannot be read"):
        raise item.error


def test_links_to_folders_are_not_followed(tmp_path):
    drawn_photos.write(tmp_path / "real" / "a.jpg", 1, 40.5, -100.25)
    (tmp_path / "real" / "round").symlink_to(tmp_path)
    assert list(photo.walk(tmp_path)) == ["real/a.jpg"]
    _, item = exif.photos(tmp_path)
    assert (item.reason, item.error.problem) == ("linked", "real/round: is a link to a folder.")
    with pytest.raises(errors.MissingFileError, match="gone: cannot be read"):
        list(photo.walk(tmp_path / "gone"))


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_location_ids_read_back_and_are_one_for_equal_numbers(lat_deg, lon_deg):
    assert imagery_tree.parse_location(photo.location_id(lat_deg, lon_deg), "id") == (lat_deg, lon_deg)
    assert photo.location_id(-0.0, lon_deg) == photo.location_id(0.0, lon_deg)


@given(st.floats(), st.floats())
def test_positions_without_problem_are_places(lat_deg, lon_deg):
    if not photo.position_problem(lat_deg, lon_deg):
        geometry.check_coords((lat_deg, lon_deg))
        assert not photo.looks_swapped(lat_deg, lon_deg)
    elif (lat_deg, lon_deg) != (0, 0):
        with pytest.raises(errors.CoordinateError):
            geometry.check_coords((lat_deg, lon_deg))


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ((-97.25, 41.5), "looks swapped"),
        ((95.0, 95.0), "latitude 95.0 is not within -90 to 90"),
        ((41.5, 262.75), "longitude 262.75 is not within -180 to 180"),
        ((0.0, -0.0), r"position \(0, 0\)"),
        ((float("nan"), 1.0), "is not two numbers"),
        ((0.0, 1.0), ""),
    ],
)
def test_position_problems(place, problem):
    assert problem.replace("\\", "") in photo.position_problem(*place)
    assert bool(photo.position_problem(*place)) == bool(problem)

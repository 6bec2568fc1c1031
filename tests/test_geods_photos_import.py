"""From photographs to a tree: what the journal notes, what the scan refuses, what lands where."""

import csv
import itertools
import os
import pathlib
import sqlite3

import drawn_photos
import drawn_trees
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geods import errors, geometry, tree
from geods.photos import import_journal, photo, place, scan

PLACE = (40.5, -100.25)


@pytest.fixture
def source(tmp_path) -> pathlib.Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    return tmp_path / "tree"


def take(source: pathlib.Path, file: str, seed: int, lat_deg=PLACE[0], lon_deg=PLACE[1], **facts) -> photo.Photo:
    """Writes a picture and returns the photograph of it."""
    (source / file).write_bytes(drawn_trees.jpeg(seed))
    return photo.Photo(file, lat_deg, lon_deg, **facts)


def note(journal, found, *, same_place_m=0.0, raise_on=(), **more) -> scan.Tally:
    with journal.transaction():
        return scan.scan(
            found,
            drawn_trees.cells(),
            journal,
            same_place_m=same_place_m,
            raise_on=raise_on,
            swap_hint="swap them",
            **more,
        )


def run(source, root, found, *, link=False, raise_on_bad=True, **options) -> tuple[scan.Tally, int]:
    with import_journal.Journal(root) as journal:
        tally = note(journal, found, **options)
        return tally, place.place(journal, source, root, link=link, raise_on_bad=raise_on_bad)


def names(root: pathlib.Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))


def test_bytes_land_under_cell_place_heading_and_month(source, root):
    found = [
        take(source, "a.jpg", 1, heading_deg=90.0, date="2012-05"),
        take(source, "b.jpg", 2, 31.5, -105.25, heading_deg=12.5),
        take(source, "c.jpg", 3, date="2012-05"),
    ]
    tally, placed = run(source, root, found)
    assert (tally.found, tally.new, placed) == (3, 3, 3)
    expected = ["1/31.5,-105.25/12.5.jpg", "6/40.5,-100.25/90_2012-05.jpg", "6/40.5,-100.25/view0_2012-05.jpg"]
    assert names(root) == expected
    assert (root / expected[1]).read_bytes() == (source / "a.jpg").read_bytes()
    assert [len(place.views) for place in tree.read(root)] == [1, 2]


def test_photographs_alike_get_names_of_their_own(source, root):
    found = [take(source, f"{n}.jpg", n, heading_deg=90.0, date="2012-05") for n in range(3)]
    found += [take(source, "3.jpg", 3, heading_deg=90.000001, date="2012-05")]
    found += [take(source, "4.jpg", 4, heading_deg=90.0)]
    found += [take(source, f"{n}.jpg", n, date=f"2012-0{n}") for n in (5, 6)]
    found += [take(source, f"{n}.jpg", n, heading_deg=359.999999) for n in (7, 8)]
    run(source, root, found)
    (place,) = tree.read(root)
    by_name = {view.path.name: view for view in place.views}
    assert set(by_name) == {
        *("90_2012-05.jpg", "90.000001_2012-05.jpg", "90.000002_2012-05.jpg", "90.000003_2012-05.jpg", "90.jpg"),
        *("view0_2012-05.jpg", "view1_2012-06.jpg", "359.999999.jpg", "0.jpg"),
    }
    assert by_name["90.000002_2012-05.jpg"].heading_deg == pytest.approx(90, abs=1e-5)
    bytes_there = {view.path.read_bytes() for view in place.views}
    assert bytes_there == {path.read_bytes() for path in source.iterdir()}


def test_second_run_places_nothing_and_new_files_join(source, root):
    found = [take(source, f"{n}.jpg", n) for n in range(3)]
    run(source, root, found[:2])
    stamps = {name: (root / name).stat().st_mtime_ns for name in names(root)}
    tally, placed = run(source, root, found[:2])
    assert (tally.found, tally.new, placed) == (2, 0, 0)
    assert run(source, root, found)[1] == 1
    assert {name: (root / name).stat().st_mtime_ns for name in stamps} == stamps
    assert len(names(root)) == 3


def test_images_gone_from_the_tree_are_placed_again_under_their_names(source, root):
    found = [take(source, f"{n}.jpg", n) for n in range(3)]
    run(source, root, found)
    before = {name: (root / name).read_bytes() for name in names(root)}
    (root / names(root)[1]).unlink()
    assert run(source, root, found)[1] == 1
    assert {name: (root / name).read_bytes() for name in names(root)} == before


def test_image_placed_before_it_was_noted_is_taken_up(source, root):
    found = [take(source, f"{n}.jpg", n, heading_deg=90.0) for n in range(2)]
    target = root / "6" / "40.5,-100.25" / "90.jpg"
    target.parent.mkdir(parents=True)
    target.write_bytes((source / "0.jpg").read_bytes())
    inode = target.stat().st_ino
    assert run(source, root, found)[1] == 2
    assert target.stat().st_ino == inode
    assert len(names(root)) == 2


def test_other_bytes_under_a_name_are_never_replaced(source, root):
    target = root / "6" / "40.5,-100.25" / "90.jpg"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"mine")
    found = [take(source, "b.jpg", 2), take(source, "a.jpg", 1, heading_deg=90.0)]
    with pytest.raises(errors.TreeError, match=r"90\.jpg: is there with other bytes than .*a\.jpg"):
        run(source, root, found)
    assert target.read_bytes() == b"mine"
    with import_journal.Journal(root) as journal:
        assert journal.counts()["placed"] == 1


def test_same_bytes_are_placed_once(source, root):
    found = [take(source, "a.jpg", 1), take(source, "b.jpg", 1, 41.5, -97.25), take(source, "c.jpg", 2)]
    assert run(source, root, found)[1] == 2
    with import_journal.Journal(root) as journal:
        assert journal.counts() == {
            "waiting": 0, "placed": 2, "duplicate": 1, "bad": 0, "locations": 1, "cells": 1
        }  # fmt: skip
        assert journal.problems("duplicate", 5) == ["b.jpg = a.jpg"]
    assert run(source, root, found)[1] == 0


def test_links_share_the_bytes_also_of_symbolic_links(source, root):
    found = [take(source, "a.jpg", 1), photo.Photo("b.jpg", 41.5, -97.25)]
    (source.parent / "real.jpg").write_bytes(drawn_trees.jpeg(2))
    (source / "b.jpg").symlink_to(source.parent / "real.jpg")
    run(source, root, found, link=True)
    inodes = {path.stat(follow_symlinks=False).st_ino for path in root.rglob("*.jpg")}
    assert inodes == {(source / "a.jpg").stat().st_ino, (source.parent / "real.jpg").stat().st_ino}


def test_bad_images_end_it_or_are_counted_and_tried_again(source, root):
    found = [take(source, "a.jpg", 1), take(source, "b.jpg", 2), take(source, "c.jpg", 3)]
    (source / "b.jpg").write_bytes(drawn_trees.jpeg(2)[:-200])
    with pytest.raises(errors.ImageError, match=r"b\.jpg: is truncated\.\nNext: .*--on_bad_image=skip"):
        run(source, root, found)
    assert len(names(root)) == 1
    assert run(source, root, found, raise_on_bad=False)[1] == 1
    with import_journal.Journal(root) as journal:
        assert journal.counts()["bad"] == 1
    (source / "b.jpg").write_bytes(drawn_photos.HEIC)
    with pytest.raises(errors.ImageError, match=r"b\.jpg: is a HEIC, not a JPEG"):
        run(source, root, found)
    (source / "b.jpg").write_bytes(drawn_trees.jpeg(2))
    assert run(source, root, found)[1] == 1
    assert len(names(root)) == 3


def test_photograph_that_is_gone_is_named(source, root):
    found = [take(source, "a.jpg", 1)]
    (source / "a.jpg").unlink()
    with pytest.raises(errors.MissingFileError, match=r"a\.jpg: cannot be read"):
        run(source, root, found)


def test_tree_that_cannot_be_written_is_told(source, root):
    found = [take(source, "a.jpg", 1)]
    root.mkdir()
    (root / "6").write_text("a file where a folder must be")
    for link, hint in ((False, "make room"), (True, "leave --link out")):
        with pytest.raises(errors.TreeError, match=rf"cannot be written(.|\n)*{hint}"):
            run(source, root, found, link=link)


def test_credits_name_every_image_of_the_tree(source, root):
    found = [
        take(source, "a.jpg", 1, creator="NA", licence="CC-BY-4.0", source_id="0123", sequence="s1", country="NA"),
        take(source, "b.jpg", 1),
        take(source, "c.jpg", 2, creator='Ada, "the first"\nof her name'),
    ]
    with import_journal.Journal(root) as journal:
        note(journal, found)
        place.place(journal, source, root, link=False, raise_on_bad=True)
        place.write_credits(journal, root)
    with (root / "credits.csv").open(encoding="utf-8", newline="") as written:
        rows = list(csv.DictReader(written))
    assert [row["file"] for row in rows] == names(root)
    assert list(rows[0].values())[1:] == ["NA", "CC-BY-4.0", "0123", "s1", "NA"]
    assert rows[1]["creator"] == 'Ada, "the first"\nof her name'


def test_near_photographs_become_views_of_the_nearest_location(source, root):
    def beside(metres, heading):
        return geometry.destination(PLACE, heading, metres / 1000).tolist()

    found = [
        take(source, "a.jpg", 1),
        take(source, "b.jpg", 2, *beside(60, 0)),
        take(source, "c.jpg", 3, *beside(40, 0)),
        take(source, "d.jpg", 4, *beside(49.9, 90)),
        take(source, "e.jpg", 5, *beside(50.1, 270)),
    ]
    run(source, root, found, same_place_m=50)
    places = {place.location_id: len(place.views) for place in tree.read(root)}
    assert places == {found[0].location_id: 2, found[1].location_id: 2, found[4].location_id: 1}


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30, unique=True))
def test_photographs_lie_within_the_distance_of_their_location(tmp_path_factory, steps):
    found = [photo.Photo(f"{x},{y}.jpg", 30 + x * 1e-4, 180 - y * 2e-4 if y < 5 else -180 + y * 1e-4) for x, y in steps]
    with import_journal.Journal(tmp_path_factory.mktemp("near") / "tree") as journal, journal.transaction():
        for item in found:
            journal.add(item, 0, 20.0)
        views = journal.waiting(100)
        places = {view.location: (view.lat_deg, view.lon_deg) for view in views}
        for view, item in zip(views, found, strict=True):
            here = (item.lat_deg, item.lon_deg)
            assert geometry.haversine_km(here, places[view.location]) <= 0.02
        for one, other in itertools.combinations(places.values(), 2):
            assert geometry.haversine_km(one, other) > 0.02


def test_outside_is_counted_or_refused(source, root):
    found = [take(source, "a.jpg", 1), take(source, "b.jpg", 2, 60.5, -100.25)]
    tally, placed = run(source, root, found)
    assert (placed, tally.numbers, tally.examples["outside"]) == (
        1,
        {"outside": 1},
        ["b.jpg: 60.5,-100.25 is outside every cell."],
    )
    with pytest.raises(errors.CoordinateError, match=r"1 of 2 photographs lie outside(.|\n)*--outside=drop"):
        run(source, root, found, raise_on={"outside"})
    # What an earlier run noted is inside, so that nothing new is does not refuse the source.
    assert run(source, root, found[1:])[1] == 0


def test_all_outside_is_refused(source, root):
    with pytest.raises(errors.CoordinateError, match=r"1 of 1 photographs lie outside .*first: b\.jpg: 60\.5,"):
        run(source, root, [take(source, "b.jpg", 2, 60.5, -100.25)])
    assert names(root) == []


def test_swapped_places_are_refused_whatever_their_share_of_impossible_ones(source, root):
    # The boxes of the tests lie west of -70, so that swapped they are south of every land.
    inside = [take(source, f"{n}.jpg", n, 31 + n, -75.0) for n in range(10)]
    swapped = [photo.Photo(item.file, item.lon_deg, item.lat_deg) for item in inside]
    with pytest.raises(errors.CoordinateError, match=r"look swapped: 0 of 10 .* 10 would(.|\n)*Next: swap them"):
        run(source, root, swapped)
    few_right = [take(source, "x.jpg", 20), *swapped, *[photo.Photo(f"o{n}.jpg", 10.0, 10.0) for n in range(90)]]
    tally, _ = run(source, root, few_right)
    assert (tally.numbers["outside"], tally.inside_if_swapped) == (100, 10)
    with pytest.raises(errors.CoordinateError, match="look swapped: 1 of 12"):
        run(source, source.parent / "other", [few_right[0], *swapped, photo.Photo("y.jpg", -75.0, 45.0)])


def test_skipped_things_are_counted_or_raised(source, root):
    bad = [photo.Skipped("bad_row", errors.TreeError(f"line {n}: is bad.", "mend it")) for n in range(7)]
    tally, _ = run(source, root, [take(source, "a.jpg", 1), *bad], names_at_most=2)
    assert tally.numbers["bad_row"] == 7
    assert tally.examples["bad_row"] == ["line 0: is bad.", "line 1: is bad."]
    with pytest.raises(errors.TreeError, match="line 0: is bad"):
        run(source, root, bad, raise_on={"bad_row"})


def test_same_file_with_another_place_is_refused_and_nothing_is_noted(source, root):
    found = take(source, "a.jpg", 1, heading_deg=90.0, date="2012-05")
    again = photo.Photo("a.jpg", 41.5, -97.25)
    rule = r"a\.jpg: was at 40\.5,-100\.25, heading 90, 2012-05 in an earlier line or run, and is at 41\.5,-97\.25 now"
    with import_journal.Journal(root) as journal:
        with pytest.raises(errors.TreeError, match=rule):
            note(journal, [found, again])
        assert len(journal) == 0
        assert note(journal, [found, found]).new == 1


def test_journal_serves_one_process_and_is_no_other_file(root):
    with import_journal.Journal(root), pytest.raises(errors.TreeError, match="another import is writing this tree"):
        import_journal.Journal(root)
    (root / import_journal.NAME).write_bytes(b"no database" * 100)
    with pytest.raises(errors.TreeError, match=r"import\.sqlite: cannot be used"):
        import_journal.Journal(root)
    (root.parent / "file").touch()
    with pytest.raises(errors.TreeError, match="file: cannot be written"):
        import_journal.Journal(root.parent / "file")


def _placed_until_it_stops(journal) -> None:
    with journal.steps():
        journal.placed(1, "00", "6/x/y.jpg")
        raise errors.TreeError("stop")


def test_steps_are_kept_when_the_block_raises(source, root):
    with import_journal.Journal(root) as journal:
        note(journal, [take(source, "a.jpg", 1), take(source, "b.jpg", 2)])
        with pytest.raises(errors.TreeError, match="stop"):
            _placed_until_it_stops(journal)
    with sqlite3.connect(os.fspath(root / import_journal.NAME)) as database:
        assert database.execute("SELECT state FROM photos ORDER BY number").fetchall() == [("placed",), ("waiting",)]
    database.close()

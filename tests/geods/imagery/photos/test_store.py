"""The storing of an import: folders, names, and files never replaced."""

import csv

import drawn_photos
import drawn_trees
import pytest
from imported_photos import names, note, root, run, source, take

from geods import errors
from geods.imagery.photos import import_journal, photo, store
from geods.tree import imagery_tree

__all__ = ["root", "source"]


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
    assert [len(place.views) for place in imagery_tree.read(root)] == [1, 2]


def test_photographs_alike_get_names_of_their_own(source, root):
    found = [take(source, f"{n}.jpg", n, heading_deg=90.0, date="2012-05") for n in range(3)]
    found += [take(source, "3.jpg", 3, heading_deg=90.000001, date="2012-05")]
    found += [take(source, "4.jpg", 4, heading_deg=90.0)]
    found += [take(source, f"{n}.jpg", n, date=f"2012-0{n}") for n in (5, 6)]
    found += [take(source, f"{n}.jpg", n, heading_deg=359.999999) for n in (7, 8)]
    found += [take(source, "9.jpg", 9, heading_deg=0.0)]
    run(source, root, found)
    (place,) = imagery_tree.read(root)
    by_name = {view.path.name: view for view in place.views}
    assert set(by_name) == {
        *("90_2012-05.jpg", "90.000001_2012-05.jpg", "90.000002_2012-05.jpg", "90.000003_2012-05.jpg", "90.jpg"),
        *("view0_2012-05.jpg", "view1_2012-06.jpg", "359.999999.jpg", "0.jpg", "0.000001.jpg"),
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
            "waiting": 0, "placed": 2, "duplicate": 1, "cut": 0, "bad": 0, "panorama": 0, "locations": 1, "cells": 1
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


def test_photographs_that_are_gone_from_the_source_are_forgotten_and_their_twins_placed(source, root):
    found = [take(source, "a.jpg", 1), take(source, "b.jpg", 1, 41.5, -97.25), take(source, "c.jpg", 3)]
    (source / "c.jpg").write_bytes(drawn_trees.jpeg(3)[:-200])
    with pytest.raises(errors.ImageError, match="delete it"):
        run(source, root, found)
    (source / "c.jpg").unlink()
    assert run(source, root, found[:2])[1] == 0
    # Moved away, and deleted from the tree: the image with the same bytes takes its place.
    (source / "a.jpg").unlink()
    (root / names(root)[0]).unlink()
    with import_journal.Journal(root) as journal:
        placed = store.place(journal, source, root, link=False, raise_on_bad=True)
    assert (placed.images, placed.gone) == (1, ["a.jpg"])
    assert names(root) == ["7/41.5,-97.25/view0.jpg"]


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
        store.place(journal, source, root, link=False, raise_on_bad=True)
        store.write_credits(journal, root)
    with (root / "credits.csv").open(encoding="utf-8", newline="") as written:
        rows = list(csv.DictReader(written))
    assert [row["file"] for row in rows] == names(root)
    assert list(rows[0].values())[1:] == ["NA", "CC-BY-4.0", "0123", "s1", "NA"]
    assert rows[1]["creator"] == 'Ada, "the first"\nof her name'

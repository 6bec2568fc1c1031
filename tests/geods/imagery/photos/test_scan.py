"""The scan of an import: refusals, and rows of the journal."""

import itertools
import os
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_photos import PLACE, names, note, root, run, source, take

from geods import errors
from geods.geo import geometry
from geods.imagery.photos import import_journal, photo
from geods.tree import imagery_tree

__all__ = ["root", "source"]


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
    places = {place.location_id: len(place.views) for place in imagery_tree.read(root)}
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

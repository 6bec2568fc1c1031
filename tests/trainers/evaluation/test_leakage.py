"""Leaks that were put in are found, and none where there is none."""

import json

import numpy as np
import pytest
import road
import shapely

from geods import errors
from geods.geo import geometry, partition
from tools import audit
from trainers.evaluation import leakage

CELLS = partition.Partition(
    tuple(shapely.box(-110 + 2 * x, 30 + 2 * y, -108 + 2 * x, 32 + 2 * y) for y in range(5) for x in range(8))
)
RNG = np.random.default_rng(0)


def side(coords, months=None, name="a", panoramas=None, pixels=None):
    hashes = [frozenset({f"{name}{n}"}) for n in range(len(coords))]
    panoramas = panoramas or [frozenset()] * len(coords)
    unknown = np.full(len(coords), np.nan)
    known = (unknown if each is None else each for each in (months, pixels))
    return leakage.Side(coords, hashes, panoramas, *known)


def places(count):
    return RNG.uniform([30, -110], [40, -94], (count, 2))


def test_the_nearest_are_those_of_brute_force():
    coords, others = places(1500), places(40)
    expected = [min(geometry.haversine_km(place, other) for other in others) for place in coords[:20]]
    np.testing.assert_allclose(leakage.nearest_km(coords, others)[:20], expected)


def test_neighbours_across_the_street_are_counted():
    train = side(places(100))
    far = places(10) + np.array([0, 60])
    held = side(np.concatenate([train.coords[:10] + 0.0005, far]), name="b")
    found = leakage.neighbours(held, train)
    assert found["within_km"]["0.1"] == 0.5
    assert found["nearest_km"]["0%"] < 0.1


def test_shared_images_and_panoramas_are_counted():
    train = side(places(10), panoramas=[frozenset({f"p{n}"}) for n in range(10)])
    held = side(places(10), panoramas=[frozenset({f"p{n + 8}"}) if n < 5 else frozenset() for n in range(10)])
    assert leakage.shared(held, train) == {"same_bytes": 1.0, "same_panorama": 0.4}
    assert leakage.shared(side(places(3), name="c"), train) == {"same_bytes": 0.0, "same_panorama": None}


@pytest.mark.parametrize("clue", ["months", "pixels"])
def test_dates_and_sizes_that_tell_the_place_are_found_and_others_not(clue):
    coords, held = places(400), places(300)
    telling = [side(one, **{clue: np.floor((one[:, 1] + 110) * 3)}) for one in (coords, held)]
    found = leakage.by_clue(telling[1], telling[0], clue, CELLS)
    assert found["difference_interval"][1] < -50
    nothing = [side(one, **{clue: RNG.integers(0, 48, len(one)).astype(float)}) for one in (coords, held)]
    found = leakage.by_clue(nothing[1], nothing[0], clue, CELLS)
    assert found["difference_interval"][1] > -30
    assert leakage.by_clue(side(held), telling[0], clue, CELLS) is None


def test_neighbours_of_the_same_image_size_are_counted():
    pixels = np.array([80_000, 180_000, 180_000])
    train, held = side(places(3), pixels=pixels), side(places(2), pixels=pixels[:2])
    features = np.eye(3)
    assert leakage.same_size(held, train, features[[0, 2]], features) == {"share": 1.0, "by_chance": 0.5}
    assert leakage.same_size(held, train, features[[0, 0]], features) == {"share": 0.5, "by_chance": 0.5}


@pytest.mark.parametrize(("date", "months"), [("2012-05", 24148.0), ("", np.nan), ("May", np.nan), ("2012", np.nan)])
def test_dates_are_months(date, months):
    np.testing.assert_equal(leakage.months_of(date), months)


def test_the_program_on_a_dataset(data_dir, cache_dir, tree_dir, tmp_path):
    words = (f"--data_dir={data_dir}", "--config=random", f"--cache_dir={cache_dir}", f"--out={tmp_path / 'a.json'}")
    done = road.program("tools.audit", *words)
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["test"]["locations"] == 19
    assert found["test"]["same_bytes"] == 0
    assert "not known; give --tree" in done.stdout
    assert "by capture date alone" in done.stdout
    # All drawn images have one size, which says nothing.
    assert found["test"]["by_size"]["difference_interval"] == [0, 0]
    assert found["test"]["same_size"] == {"share": 1, "by_chance": 1}
    failed = road.program("tools.audit", f"--data_dir={data_dir}", "--config=random", f"--tree={tree_dir}", expect=2)
    assert "only trees that tools.scrape made" in failed.stderr


def test_panoramas_are_read_from_a_scraped_tree(tmp_path):
    (tmp_path / "views.csv").write_text('file,pano_id\n"3/40.1,-100.2/0_2012-05.jpg",x\n"3/40.1,-100.2/90.jpg",\n')
    assert audit._panoramas(str(tmp_path)) == {"40.1,-100.2": frozenset({"x"})}
    # Of the layouts that tools.convert_tree writes.
    (tmp_path / "views.csv").write_text('file,pano_id\n"3+40.1,-100.2/90.jpg",x\n"3+40.2,-100.2+90.jpg",y\n')
    assert audit._panoramas(str(tmp_path)) == {"40.1,-100.2": frozenset({"x"}), "40.2,-100.2": frozenset({"y"})}
    (tmp_path / "views.csv").write_text("file,pano_id\nalone.jpg,x\n")
    with pytest.raises(errors.TreeError, match="is not a table of views"):
        audit._panoramas(str(tmp_path))

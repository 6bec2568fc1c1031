"""Splits by hash move nothing, blocks stay whole, shares are as said."""

import collections

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geods import errors
from geods.dataset import splits

COORDS = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=60).map(np.array)
# Few blocks, so that they are shared.
CROWDED = st.lists(st.tuples(st.floats(39, 42), st.floats(-100, -97)), min_size=1, max_size=60).map(np.array)


@settings(max_examples=200, deadline=None)
@given(COORDS | CROWDED, st.integers(0, 3))
def test_no_block_is_in_two_splits(coords, seed):
    names = splits.blocked(coords, seed)
    by_block = collections.defaultdict(set)
    for (lat, lon), name in zip(coords, names, strict=True):
        by_block[int(np.floor(lat)), int(np.floor(lon)) if lon < 180 else -180].add(name)
    assert all(len(found) == 1 for found in by_block.values())
    assert set(names) <= set(splits.NAMES)


@settings(max_examples=200, deadline=None)
@given(COORDS | CROWDED, COORDS | CROWDED, st.integers(0, 3))
def test_adding_locations_moves_no_other(coords, more, seed):
    alone = splits.blocked(coords, seed)
    together = splits.blocked(np.concatenate([more, coords]), seed)
    assert together[len(more) :].tolist() == alone.tolist()


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, unique=True), st.integers(0, 3), st.randoms())
def test_random_split_depends_on_the_location_alone(ids, seed, rng):
    of = dict(zip(ids, splits.random(ids, seed).tolist(), strict=True))
    shuffled = rng.sample(ids, len(ids))
    assert splits.random(shuffled, seed).tolist() == [of[place] for place in shuffled]
    assert splits.random(ids[:1], seed).tolist() == [of[ids[0]]]


@pytest.mark.parametrize("policy", ["blocked", "random"])
def test_shares_are_80_10_10(policy):
    grid = np.stack(np.meshgrid(np.arange(-90, 90), np.arange(-180, 180)), axis=-1).reshape(-1, 2) + 0.5
    names = splits.blocked(grid) if policy == "blocked" else splits.random([f"{a},{b}" for a, b in grid])
    shares = [np.mean(names == name) for name in splits.NAMES]
    # 64,800 draws: four standard deviations are 0.006 for a share of 0.8.
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.006)


def test_splits_of_version_1_do_not_change():
    coords = np.array([[33.2, -79.9], [25.8, -80.2], [47.6, -122.3], [40.5, -96.5]])
    assert splits.blocked(coords).tolist() == ["train", "test", "train", "train"]
    assert splits.random(["40.5,-99.5", "40.5,-96.5", "40.5,-97.5"]).tolist() == ["train", "test", "train"]


def test_another_seed_is_another_split():
    grid = np.stack([np.full(300, 40.5), np.arange(-150, 150) + 0.5], axis=-1)
    assert (splits.blocked(grid, 0) != splits.blocked(grid, 1)).any()
    assert (splits.random(list(map(str, grid)), 0) != splits.random(list(map(str, grid)), 1)).any()


def test_blocks_at_the_antimeridian_and_south_of_the_equator():
    coords = [[-0.5, 180.0], [-0.5, -180.0], [90.0, 179.5], [-90.0, -0.25]]
    assert splits.blocks_of(np.array(coords)).tolist() == [[-1, -180], [-1, -180], [90, 179], [-90, -1]]


# No file's name holds a NUL, and arrays of text keep none at an end.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


@settings(deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=200, unique=True), st.integers(0, 5), st.randoms())
def test_split_by_image_is_5_percent_whatever_the_order(names, seed, rng):
    of = dict(zip(names, splits.by_image(names, seed).tolist(), strict=True))
    assert list(of.values()).count("test") == max(1, round(0.05 * len(names)))
    assert set(of.values()) == {"train", "test"}
    shuffled = rng.sample(names, len(names))
    assert splits.by_image(shuffled, seed).tolist() == [of[name] for name in shuffled]


def test_one_image_cannot_be_split():
    with pytest.raises(errors.DatasetError, match="1 images cannot be split into train and test"):
        splits.by_image(["a"])


@settings(max_examples=100, deadline=None)
@given(COORDS | CROWDED, st.integers(2, 5), st.integers(0, 9))
def test_folds_are_nearly_equal_and_share_no_block(coords, count, seed):
    blocks, of, held = np.unique(splits.blocks_of(coords), axis=0, return_inverse=True, return_counts=True)
    assume(len(blocks) >= count)
    fold = splits.folds(coords, count, seed)
    assert all(len(set(fold[of.reshape(-1) == block].tolist())) == 1 for block in range(len(blocks)))
    sizes = np.bincount(fold, minlength=count)
    assert sizes.min() > 0
    assert sizes.max() - sizes.min() <= held.max()


@settings(max_examples=50, deadline=None)
@given(COORDS | CROWDED, st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_the_locations(coords, rng):
    assume(len(np.unique(splits.blocks_of(coords), axis=0)) >= 3)
    order = list(range(len(coords)))
    rng.shuffle(order)
    np.testing.assert_array_equal(splits.folds(coords[order], 3), splits.folds(coords, 3)[order])


def test_another_seed_gives_other_folds():
    coords = np.random.default_rng(0).uniform([30, -110], [40, -90], (200, 2))
    assert (splits.folds(coords, 5, seed=0) != splits.folds(coords, 5, seed=1)).any()


def test_more_folds_than_blocks_are_refused():
    with pytest.raises(errors.DatasetError, match=r"3 folds of 1 blocks of 1 degree"):
        splits.folds(np.full((10, 2), 40.5), 3)


def town(count: int, spread_deg: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal((48.1, 11.5), spread_deg, (count, 2))


def shares_of(rule: splits.Rule, coords: np.ndarray) -> list[float]:
    names = splits.blocked(coords, rule.seed, rule.block_deg)
    return [float(np.mean(names == name)) for name in splits.NAMES]


@pytest.mark.parametrize("count", [60, 97, 120, 500])
@pytest.mark.parametrize("spread_deg", [0.01, 0.03, 0.3, 1, 3])
def test_each_part_of_a_small_area_gets_its_share(count, spread_deg):
    coords = town(count, spread_deg)
    rule = splits.choose(splits.Request("blocked"), lambda: np.array_split(coords, 3))
    assert shares_of(rule, coords) == pytest.approx([0.8, 0.1, 0.1], abs=0.03)
    assert len(np.unique(splits.blocks_of(coords, rule.block_deg), axis=0)) >= 20
    assert splits.choose(splits.Request("blocked"), lambda: [coords]) == rule


def test_blocks_of_one_degree_and_seed_0_stay_where_they_fit():
    grid = np.stack(np.meshgrid(np.arange(25, 49), np.arange(-125, -67)), axis=-1).reshape(-1, 2) + 0.5
    assert splits.choose(splits.Request("blocked"), lambda: [grid]) == splits.Rule("blocked", 0, 1.0)


@pytest.mark.parametrize("count", [4, 8, 39, 45])
def test_few_locations_of_a_country_are_split_by_blocks_that_stay_large_when_others_are_added(count):
    assert splits.choose(splits.Request("blocked"), lambda: [town(count, 4)]).block_deg == 1


def test_what_is_given_is_taken_and_the_rule_of_before_is_kept():
    coords = town(120, 0.02)

    def chosen(**given) -> splits.Rule:
        return splits.choose(splits.Request("blocked", **given), lambda: [coords])

    assert chosen(seed=7).seed == 7
    assert chosen(block_deg=0.01).block_deg == 0.01
    assert chosen(seed=7, block_deg=2.0) == splits.Rule("blocked", 7, 2.0)
    before = splits.Rule("blocked", 5, 0.003)
    assert chosen(before=before) == before
    assert chosen(before=splits.Rule("blocked")) == chosen()
    assert splits.choose(splits.Request("random", block_deg=0.1), lambda: [coords]) == splits.Rule("random")
    assert len(set(splits.folds(coords, 5).tolist())) == 5


def test_the_environment_gives_seed_and_blocks(monkeypatch):
    monkeypatch.setenv(splits.SEED_VARIABLE, "3")
    monkeypatch.setenv(splits.BLOCK_VARIABLE, "0.25")
    assert splits.Request.from_environment("blocked") == splits.Request("blocked", 3, 0.25)
    monkeypatch.setenv(splits.BLOCK_VARIABLE, "0")
    with pytest.raises(errors.OptionError, match=r"block_deg=0\.0: is not the edge of a block"):
        splits.Request.from_environment("blocked")
    monkeypatch.setenv(splits.SEED_VARIABLE, "x")
    with pytest.raises(errors.OptionError, match=r"GEODS_SPLIT_SEED=x, .* is not a number"):
        splits.Request.from_environment("blocked")


@pytest.mark.parametrize(
    ("bounds", "given", "block_deg"),
    [
        ((24, 50, -125, -66), {}, 1.0),
        ((48.05, 48.35, 11.35, 11.65), {}, 0.03125),
        ((48.05, 48.35, 11.35, 11.65), {"block_deg": 0.25}, 0.25),
        ((48, 48, 11, 11), {"seed": 3}, 1 / 1024),
    ],
)
def test_the_extent_alone_gives_the_blocks_of_a_tree_that_grows(bounds, given, block_deg):
    rule = splits.choose_by_extent(splits.Request("blocked", **given), bounds)
    assert rule == splits.Rule("blocked", given.get("seed", 0), block_deg)
    assert splits.choose_by_extent(splits.Request("random", 1), bounds) == splits.Rule("random", 1)

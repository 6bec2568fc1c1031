"""Splits of locations, or of images, into training, validation and test.

Splits by hash depend on nothing but their rule and the location itself: with the same rule, adding locations never
moves others, and two machines agree without a list.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np

from geods import errors
from geods.tree import string_array

Policy = Literal["blocked", "random", "report"]

TRAIN, VALIDATION, TEST = "train", "validation", "test"
NAMES = (TRAIN, VALIDATION, TEST)
BLOCK_DEG = 1.0

_TRAIN_SHARE, _VALIDATION_SHARE = 0.8, 0.1
_REPORT_TEST_SHARE = 0.05

SEED_VARIABLE, BLOCK_VARIABLE = "GEODS_SPLIT_SEED", "GEODS_BLOCK_DEG"
_TOLERANCE = 0.03
# Down to 1/1024 degree, which is 110 m.
_SIZES_DEG = tuple(BLOCK_DEG / 2**halving for halving in range(11))
# Fewer blocks than these leave validation and test with two or three, which say little of other places.
_ENOUGH_BLOCKS, _SEEDS, _BLOCKS_A_FOLD = 40, 100, 4


@dataclasses.dataclass(frozen=True)
class Rule:
    """How locations fall into splits.

    Attributes:
        policy: "blocked" (whole blocks), "random" (by location) or "report" (by image).
        seed: Another seed is another split.
        block_deg: Edge of the blocks, degrees.
    """

    policy: Policy
    seed: int = 0
    block_deg: float = BLOCK_DEG


@dataclasses.dataclass(frozen=True)
class Request:
    """Rule that a build is asked for; it chooses the values that are None.

    Attributes:
        policy: As in `Rule`.
        seed: As in `Rule`.
        block_deg: As in `Rule`; above 0 and at most 90.
        before: Rule of the dataset that is built again, kept while it leaves no part empty.
    """

    policy: Policy
    seed: int | None = None
    block_deg: float | None = None
    before: Rule | None = None

    def __post_init__(self) -> None:
        if self.block_deg is not None and not 0 < self.block_deg <= 90:
            problem = f"block_deg={self.block_deg}: is not the edge of a block in degrees."
            raise errors.OptionError(problem, f"give a number above 0 and at most 90: {BLOCK_VARIABLE}=0.125")

    @classmethod
    def from_environment(cls, policy: Policy, seed: int | None = None) -> "Request":
        """Returns the request of $GEODS_SPLIT_SEED and $GEODS_BLOCK_DEG.

        The tfds command takes no flags of a builder.

        Raises:
            OptionError: If a value is not allowed.
        """
        seed_text, block_text = os.environ.get(SEED_VARIABLE, ""), os.environ.get(BLOCK_VARIABLE, "")
        try:
            given_seed, block_deg = int(seed_text) if seed_text else seed, float(block_text) if block_text else None
        except ValueError as error:
            problem = f"${SEED_VARIABLE}={seed_text}, ${BLOCK_VARIABLE}={block_text}: is not a number."
            raise errors.OptionError(problem, f"set {SEED_VARIABLE}=1, {BLOCK_VARIABLE}=0.125, or neither") from error
        return cls(policy, given_seed, block_deg)

    def filled(self, rule: Rule) -> Rule:
        """Returns the requested rule, filled up with the values of another."""
        seed = rule.seed if self.seed is None else self.seed
        if self.policy != "blocked":
            return Rule(self.policy, seed)
        return Rule(self.policy, seed, rule.block_deg if self.block_deg is None else self.block_deg)


def choose(request: Request, parts: Callable[[], Iterable[np.ndarray]]) -> Rule:
    """Chooses the rule of a split: the largest blocks that give each part its share.

    A share may be missed by 3 points. Blocks of 1 degree with seed 0 are taken if they fit. Else sizes are halved
    from 1 degree on, those with fewer than 40 blocks, or of few locations than half of their number, are passed over
    while smaller ones have more, and of each size the first 100 seeds are tried. Where nothing fits, the nearest is
    taken.

    Args:
        request: Policy, and the values that are given.
        parts: Yields the coordinates of all locations, `[k, 2]` float64 degrees each.
    """
    first = request.filled(request.before or Rule(request.policy))
    if request.policy != "blocked" or (request.seed is not None and request.block_deg is not None):
        return first
    counts = _block_counts(parts(), first.block_deg)
    # Else the blocks of few locations would shrink until each has its own, and stay so small when others are added.
    enough = min(_ENOUGH_BLOCKS, sum(counts.values()) / 2)
    shares = _shares(first, counts)
    if _deviation(shares) <= _TOLERANCE or (request.before and min(shares) > 0):
        return first
    nearest, most_blocks = (_deviation(shares), first), 0
    for block_deg in _SIZES_DEG if request.block_deg is None else (request.block_deg,):
        counts = _block_counts(parts(), block_deg)
        is_enough = len(counts) >= enough or block_deg in (request.block_deg, _SIZES_DEG[-1])
        if not is_enough or len(counts) == most_blocks:
            continue
        most_blocks = len(counts)
        for seed in range(_SEEDS) if request.seed is None else (request.seed,):
            rule = Rule("blocked", seed, block_deg)
            nearest = min(nearest, (_deviation(_shares(rule, counts)), rule), key=lambda pair: pair[0])
            if nearest[0] <= _TOLERANCE:
                return nearest[1]
    return nearest[1]


def choose_by_extent(request: Request, bounds: tuple[float, float, float, float]) -> Rule:
    """Chooses the rule of a tree that still grows, whose locations are not all known.

    Blocks are of the first half, quarter and so on of 1 degree of which 40 fit into the extent.

    Args:
        request: Policy, and the values that are given.
        bounds: South, north, west and east edge of the partition, degrees.
    """
    first = request.filled(Rule(request.policy))
    if request.policy != "blocked" or request.block_deg is not None:
        return first
    south, north, west, east = bounds
    sizes = (size for size in _SIZES_DEG if (north - south) * (east - west) >= _ENOUGH_BLOCKS * size**2)
    return dataclasses.replace(first, block_deg=next(sizes, _SIZES_DEG[-1]))


def _block_counts(parts: Iterable[np.ndarray], block_deg: float) -> dict[tuple[int, int], int]:
    """Returns the number of locations in each block."""
    counts: dict[tuple[int, int], int] = {}
    for coords in parts:
        unique, of_block = np.unique(blocks_of(coords, block_deg), axis=0, return_counts=True)
        for (south, west), count in zip(unique.tolist(), of_block.tolist(), strict=True):
            counts[south, west] = counts.get((south, west), 0) + count
    return counts


def _shares(rule: Rule, counts: dict[tuple[int, int], int]) -> list[float]:
    """Returns the share of the locations in each of NAMES."""
    of_part = dict.fromkeys(NAMES, 0)
    for (south, west), count in counts.items():
        of_part[_by_hash(_block_name(south, west, rule.block_deg), rule.seed)] += count
    total = sum(of_part.values())
    return [count / total for count in of_part.values()]


def _deviation(shares: list[float]) -> float:
    """Returns the largest distance of a share from the wanted one."""
    wanted = (_TRAIN_SHARE, _VALIDATION_SHARE, 1 - _TRAIN_SHARE - _VALIDATION_SHARE)
    return max(abs(share - one) for share, one in zip(shares, wanted, strict=True))


def _block_name(south: int, west: int, block_deg: float) -> str:
    # Blocks of 1 degree keep the name that they had when there were no others.
    return f"block {south},{west}" if block_deg == BLOCK_DEG else f"block of {block_deg!r}: {south},{west}"


def blocked(coords: np.ndarray, seed: int = 0, block_deg: float = BLOCK_DEG) -> np.ndarray:
    """Splits by whole blocks.

    So few test locations have a training neighbour across the street.

    Args:
        coords: `[n, 2]` float64 degrees, (lat, lon).
        seed: Another seed is another split.
        block_deg: Edge of the blocks, degrees.

    Returns:
        `[n]` text, each of NAMES, in shares of about 80, 10 and 10 % of the blocks.
    """
    unique, inverse = np.unique(blocks_of(coords, block_deg), axis=0, return_inverse=True)
    names = [_by_hash(_block_name(south, west, block_deg), seed) for south, west in unique.tolist()]
    return np.array(names, dtype=np.str_)[inverse.reshape(-1)]


def folds(coords: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Divides locations into nearly equal folds of whole blocks.

    Blocks are of 1 degree, or of the first half, quarter and so on of it that leaves four blocks a fold where 1 degree
    leaves fewer blocks than folds. They come in the order of a hash, and each goes to the fold that is smallest so far.
    So the folds depend on the set of locations, but not on their order, and differ in size by no more than the largest
    block.

    Args:
        coords: `[n, 2]` float64 degrees, (lat, lon).
        count: Number of folds.
        seed: Another seed is another division.

    Returns:
        `[n]` int64, from 0 to count - 1.

    Raises:
        DatasetError: If there are fewer blocks than folds.
    """
    unique, inverse = fold_blocks(coords, count)
    if len(unique) < count:
        problem = f"{count} folds of {len(unique)} blocks of {BLOCK_DEG:g} degree, and too few smaller ones."
        raise errors.DatasetError(problem, "take fewer folds, or more locations")
    inverse = inverse.reshape(-1)
    held, sizes = np.bincount(inverse), np.zeros(count, np.int64)
    fold_of = np.zeros(len(unique), np.int64)
    for block in sorted(range(len(unique)), key=lambda n: _digest(f"fold {unique[n, 0]},{unique[n, 1]}", seed)):
        fold_of[block] = np.argmin(sizes)
        sizes[fold_of[block]] += held[block]
    return fold_of[inverse]


def fold_blocks(coords: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the different blocks of `folds`, and the block of each location.

    Args:
        coords: `[n, 2]` float64 degrees, (lat, lon).
        count: Number of folds, at least.

    Returns:
        `[blocks, 2]` int64 and `[n]` int64.
    """
    found = np.unique(blocks_of(coords), axis=0, return_inverse=True)
    if len(found[0]) >= count:
        return found
    for block_deg in _SIZES_DEG[1:]:
        found = np.unique(blocks_of(coords, block_deg), axis=0, return_inverse=True)
        if len(found[0]) >= _BLOCKS_A_FOLD * count:
            break
    return found


def blocks_of(coords: np.ndarray, block_deg: float = BLOCK_DEG) -> np.ndarray:
    """Returns the block of each location.

    Args:
        coords: `[n, 2]` float64 degrees, (lat, lon).
        block_deg: Edge of the blocks, degrees.

    Returns:
        `[n, 2]` int64 south and west edge of the block in units of `block_deg`; longitude 180 is in the block of -180.
    """
    degrees = np.array(coords, dtype=np.float64).reshape(-1, 2)
    degrees[degrees[:, 1] == 180, 1] = -180
    return np.floor(degrees / block_deg).astype(np.int64)


def random(location_ids: Sequence[str], seed: int = 0) -> np.ndarray:
    """Splits by location, wherever it lies.

    Neighbours across the street may fall on both sides.

    Args:
        location_ids: `[n]` ids.
        seed: Another seed is another split.

    Returns:
        `[n]` text, each of NAMES, in shares of about 80, 10 and 10 %.
    """
    return np.array([_by_hash(f"location {place}", seed) for place in location_ids], dtype=np.str_)


def by_image(image_names: Iterable[str], seed: int = 0, test_share: float = _REPORT_TEST_SHARE) -> np.ndarray:
    """Splits image by image, 95 % train and 5 % test, as the report did.

    Views of one location fall on both sides, so a test result on this split flatters the model. It is here to compare
    with the report only.

    Args:
        image_names: `[n]` different names; the split depends on their set, not on their order.
        seed: Of the shuffle.
        test_share: Share of the test images.

    Returns:
        `[n]` text, TRAIN or TEST.

    Raises:
        DatasetError: If there are fewer than two images.
    """
    found = string_array.Texts.of_many(image_names)
    if len(found) < 2:
        raise errors.DatasetError(f"{len(found)} images cannot be split into train and test.", "add images")
    tests = max(1, round(test_share * len(found)))
    shuffled = np.random.default_rng(seed).permutation(found.order())
    names = np.full(len(found), TRAIN)
    names[shuffled[:tests]] = TEST
    return names


def _by_hash(text: str, seed: int) -> str:
    """Returns the split that a text falls into."""
    # 53 bits are what a float64 holds exactly, so the share is below 1.
    share = (int.from_bytes(_digest(text, seed)[:8], "big") >> 11) / 2**53
    if share < _TRAIN_SHARE:
        return TRAIN
    return VALIDATION if share < _TRAIN_SHARE + _VALIDATION_SHARE else TEST


def _digest(text: str, seed: int) -> bytes:
    """Returns a hash of a text that another seed changes."""
    return hashlib.sha256(f"{seed} {text}".encode()).digest()

"""Which location, or which image, is for training, validation or test.

Splits by hash depend on nothing but the seed and the location itself: adding locations never moves others, and two
machines agree without a list.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
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


@dataclasses.dataclass(frozen=True)
class Rule:
    """How locations fall into splits.

    Attributes:
        policy: "blocked" (whole blocks), "random" (by location) or "report" (by image).
        seed: Another seed is another split.
    """

    policy: Policy
    seed: int = 0


def blocked(coords: np.ndarray, seed: int = 0) -> np.ndarray:
    """Splits by whole blocks of 1 x 1 degree.

    So that no test location has a training neighbour across the street.

    Args:
        coords: `[n, 2]` float64 degrees, (lat, lon).
        seed: Another seed is another split.

    Returns:
        `[n]` text, each of NAMES, in shares of about 80, 10 and 10 % of the blocks.
    """
    blocks = blocks_of(coords)
    unique, inverse = np.unique(blocks, axis=0, return_inverse=True)
    names = np.array([_by_hash(f"block {lat},{lon}", seed) for lat, lon in unique.tolist()], dtype=np.str_)
    return names[inverse.reshape(-1)]


def folds(coords: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Divides locations into nearly equal folds of whole 1 x 1 degree blocks.

    For cross-validation.

    Blocks come in the order of a hash, and each goes to the fold that is smallest so far. So the folds depend on which
    locations there are, but not on their order, and differ in size by no more than the largest block.

    Args:
        coords: `[n, 2]` float64 degrees, (lat, lon).
        count: Number of folds.
        seed: Another seed is another division.

    Returns:
        `[n]` int64, from 0 to count - 1.

    Raises:
        DatasetError: If there are fewer blocks than folds.
    """
    unique, inverse = np.unique(blocks_of(coords), axis=0, return_inverse=True)
    if len(unique) < count:
        problem = f"{count} folds of {len(unique)} blocks of {BLOCK_DEG:g} degree."
        raise errors.DatasetError(problem, "take fewer folds, or more places")
    inverse = inverse.reshape(-1)
    held, sizes = np.bincount(inverse), np.zeros(count, np.int64)
    fold_of = np.zeros(len(unique), np.int64)
    for block in sorted(range(len(unique)), key=lambda n: _digest(f"fold {unique[n, 0]},{unique[n, 1]}", seed)):
        fold_of[block] = np.argmin(sizes)
        sizes[fold_of[block]] += held[block]
    return fold_of[inverse]


def blocks_of(coords: np.ndarray) -> np.ndarray:
    """Returns the block of each location.

    Args:
        coords: `[n, 2]` float64 degrees, (lat, lon).

    Returns:
        `[n, 2]` int64 south and west edge of the block, degrees; longitude 180 is in the block of -180.
    """
    edges = np.floor(np.asarray(coords, dtype=np.float64).reshape(-1, 2) / BLOCK_DEG).astype(np.int64)
    edges[:, 1] = (edges[:, 1] + 180) % 360 - 180
    return edges


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

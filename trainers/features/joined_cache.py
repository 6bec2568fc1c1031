"""Feature caches joined: all splits as one, and augmented copies of a cache."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from geods import errors
from geods.dataset import splits
from trainers.features import cache_format, feature_cache

_JOINED_FIELDS = ("backbone", "weights_sha256", "layer", "pooling", "preprocessing", "runtime", "precision")


class FeatureSource(Protocol):
    """Features to gather batches from.

    A cache, several joined, or features in memory.
    """

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def rows(self) -> cache_format.Rows:
        """Locations and headings of the rows."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`."""


class AugmentedCache:
    """Caches of the same views, one of them drawn for each row and each epoch.

    Attributes:
        feature_shape: Shape of one row.
        rows: Locations and headings of the rows.

    Args:
        caches: The images as they are, then their augmented copies.
        seed: Of the draws.

    Raises:
        CacheError: If a copy is of other images or another encoder.
    """

    def __init__(self, caches: Sequence["Cache"], seed: int) -> None:
        first = caches[0]
        for copy in caches[1:]:
            if differences := [text for text in copy.key.differences(first.key) if not text.startswith("variant ")]:
                problem = f"variant {copy.key.variant}: was made of something else: {'; '.join(differences)}."
                raise errors.CacheError(problem, "extract again with --overwrite and the same flags")
        self._caches, self._rng = caches, np.random.default_rng([seed, len(caches)])
        self.feature_shape, self.rows = first.feature_shape, first.rows
        self.draw()

    def draw(self) -> None:
        """Draws for all rows at once, however often Keras reads a batch."""
        self._drawn = self._rng.integers(len(self._caches), size=len(self.rows))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`, each from a cache drawn for it."""
        drawn = self._drawn[rows]
        result = self._caches[0].take(rows)
        for number in np.unique(drawn[drawn > 0]):
            here = np.flatnonzero(drawn == number)
            result[here] = self._caches[number].take(rows[here])
        return result


class JoinedCache:
    """The caches of several splits, one after the other, as a single one.

    Attributes:
        key: Key of the first.
        spec: The encoder, for `BackboneSpec.from_dict`.
        rows: Locations and headings of the rows.
        feature_shape: Shape of one row.

    Args:
        caches: At least one, all of the same dataset and encoder.
    """

    def __init__(self, caches: "Sequence[feature_cache.FeatureCache | ConcatenatedCache]") -> None:
        first = caches[0]
        for other in caches[1:]:
            same_split = dataclasses.replace(other.key, split=first.key.split)
            cache_format.check_same_key(other.folder, same_split, first.key)
        self._caches = caches
        self._starts = np.cumsum([0, *(len(cache) for cache in caches)])
        self.key, self.spec, self.feature_shape, self.folder = (
            first.key,
            first.spec,
            first.feature_shape,
            first.folder.parent,
        )
        self.rows = cache_format.Rows.joined([cache.rows for cache in caches])

    def __len__(self) -> int:
        """Returns the number of rows (views)."""
        return int(self._starts[-1])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`."""
        result = np.empty((len(rows), *self.feature_shape), dtype=cache_format.numpy_dtype(self.key.dtype))
        of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(of):
            here = np.flatnonzero(of == number)
            result[here] = self._caches[number].take(rows[here] - self._starts[number])
        return result


class ConcatenatedCache:
    """Caches of several encoders on the same views, features one after another.

    Attributes:
        key: Key of the first, with the names, weights and poolings of all.
        spec: The encoders, for `backbones.spec_of`.
        rows: Locations and headings of the rows.
        feature_shape: Shape of one row.

    Args:
        caches: At least two.

    Raises:
        CacheError: If they are of other views, or hold feature maps.
    """

    def __init__(self, caches: Sequence[feature_cache.FeatureCache]) -> None:
        first = caches[0]
        for other in caches:
            if len(other.feature_shape) > 1:
                problem = f"{other.folder}: holds feature maps, which cannot be joined with the features of others."
                raise errors.CacheError(problem, "extract with --pooling=avg, max or moments")
            named = ("dataset", "split", "variant", "decode")
            same_views = dataclasses.replace(first.key, **{name: getattr(other.key, name) for name in named})
            cache_format.check_same_key(other.folder, same_views, first.key)
            if len(other) != len(first):
                problem = f"{other.folder}: has {len(other):,} views, {first.folder} {len(first):,}."
                raise errors.CacheError(problem, "extract both of the same dataset")
        self._caches, self.rows, self.folder = caches, first.rows, first.folder
        keys = [cache.key for cache in caches]
        joined: dict[str, Any] = {name: "+".join(getattr(key, name) for key in keys) for name in _JOINED_FIELDS}
        dtype = first.key.dtype if len({key.dtype for key in keys}) == 1 else "float32"
        self.key = dataclasses.replace(first.key, dtype=dtype, **joined)
        indexes = [{"spec": cache.spec, "feature_shape": cache.feature_shape} for cache in caches]
        self.spec, self.feature_shape = spec_of(indexes), (sum(cache.feature_shape[0] for cache in caches),)

    def __len__(self) -> int:
        """Returns the number of rows (views)."""
        return len(self.rows)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies rows `[n]` out, `[n, *feature_shape]`."""
        dtype = cache_format.numpy_dtype(self.key.dtype)
        return np.concatenate([cache.take(rows).astype(dtype, copy=False) for cache in self._caches], axis=1)


Cache = feature_cache.FeatureCache | ConcatenatedCache | JoinedCache


def spec_of(indexes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the encoders of the indexes of caches, for `backbones.spec_of`."""
    if len(indexes) == 1:
        spec: dict[str, Any] = indexes[0]["spec"]
        return spec
    widths = [index["feature_shape"][0] for index in indexes]
    return {"joined": [index["spec"] for index in indexes], "widths": widths}


def open_split(
    cache_dirs: Sequence[str | os.PathLike[str]], split: str, variant: int = 0
) -> feature_cache.FeatureCache | ConcatenatedCache:
    """Opens a split's cache of one encoder or several, or an augmented copy.

    Raises:
        CacheError: If one is missing, not finished, damaged or of another split, or they are not of the same views.
    """
    found = [feature_cache.FeatureCache(cache_format.folder_of(folder, split, variant)) for folder in cache_dirs]
    for cache in found:
        cache_format.check_same_key(cache.folder, cache.key, dataclasses.replace(cache.key, split=split))
    return found[0] if len(found) == 1 else ConcatenatedCache(found)


def open_all(cache_dirs: Sequence[str | os.PathLike[str]], variant: int = 0) -> JoinedCache:
    """Opens the caches of all splits below a folder, or an augmented copy of them.

    Args:
        cache_dirs: One folder, or one for each encoder whose features are joined.
        variant: Number of the augmented copy, 0 for the images as they are.

    Raises:
        CacheError: If there is none, one is not finished, or they are not of one dataset and encoder.
    """
    folder = pathlib.Path(cache_dirs[0])
    names = [name for name in splits.NAMES if (folder / name / cache_format.INDEX).is_file()]
    if not names:
        raise errors.CacheError(f"{folder}: no feature cache there.", cache_format.resume(folder / splits.TRAIN))
    return JoinedCache([open_split(cache_dirs, name, variant) for name in names])

"""Features of an imagery tree by split, as its locations arrive.

A location's split follows from itself and a rule (geods.dataset.splits), so it never changes as the tree grows. The
rule is that of `tfds build`; of a tree that is followed it depends on the extent of the partition alone, and is printed
where a later build needs to be given it. What falls into test is not even encoded.
"""

from collections.abc import Sequence

import numpy as np

from geods import errors
from geods.dataset import splits as dataset_splits
from geods.geo import partition
from geods.tree import imagery_tree, jpeg
from trainers.options import train_options
from trainers.streaming import encode_files, feature_store
from trainers.training import inputs

_BYTES_A_GB = 10**9


class FeatureSplits:
    """Locations of an imagery tree with their features in memory.

    Attributes:
        outside: Number of locations outside every cell; they are left out.
        test: Number of locations kept for the test.
        is_full: Whether something was left out because it would not fit into --memory_gb.

    Args:
        streaming: The tree, and the memory for its features.
        data: The splits and their batches.
        cells: The run's partition.
        encoder: Turns views into features.
        seed: Of the order of the training split.
    """

    def __init__(
        self,
        streaming: train_options.StreamingOptions,
        data: train_options.DataOptions,
        cells: partition.Partition,
        encoder: encode_files.Encoder,
        seed: int,
    ) -> None:
        self._streaming, self._data, self._cells, self._encoder, self._seed = streaming, data, cells, encoder, seed
        names = [dataset_splits.TRAIN, *([dataset_splits.VALIDATION] if data.validation_split else [])]
        self._stores = {name: feature_store.GrowingFeatures(encoder.feature_shape) for name in names}
        self._rule: dataset_splits.Rule | None = None
        self.outside = self.test = 0
        self.is_full = False

    @property
    def capacity(self) -> int:
        """Number of views that fit into --memory_gb."""
        return int(self._streaming.memory_gb * _BYTES_A_GB / feature_store.bytes_a_row(self._encoder.feature_shape))

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one view."""
        return self._encoder.feature_shape

    @property
    def views(self) -> int:
        """Number of views in memory."""
        return sum(map(len, self._stores.values()))

    def count(self, split: str) -> int:
        """Returns how many locations of a split are in memory."""
        return len(self._stores[split].rows.views) if split in self._stores else 0

    def add(self, locations: Sequence[imagery_tree.Location]) -> int:
        """Encodes locations and keeps those for training and validation.

        Args:
            locations: Locations that were not given before.

        Returns:
            How many are new in memory.

        Raises:
            ImageError: If an image is not whole; of a tree that is followed, its location is left out instead.
            OptionError: If they do not fit into memory; of a tree that is followed, what does not is left out.
        """
        before = sum(map(self.count, self._stores))
        groups = self._by_split(locations)
        wanted = [location for group in groups.values() for location in group]
        if not self._streaming.follow:
            self._check(wanted)
        fitting = {location.location_id for location in self._fitting(wanted)}
        for split, group in groups.items():
            for some, features in self._encoder.encode(
                [location for location in group if location.location_id in fitting]
            ):
                self._stores[split].add(some, features)
        return sum(map(self.count, self._stores)) - before

    def splits(self) -> tuple[inputs.Split, inputs.Split | None]:
        """Returns the training split and the validation split, if there is one.

        Raises:
            DatasetError: If there is nothing to train on.
        """
        if not self.count(dataset_splits.TRAIN):
            problem = f"{self._streaming.imagery}: no location to train on ({self.summary()})."
            raise errors.DatasetError(problem, "add locations, or give the --partition they belong to")
        made = {
            name: inputs.from_memory(self._data, store, self._cells, name == dataset_splits.TRAIN, self._seed)
            for name, store in self._stores.items()
            if len(store)
        }
        return made[dataset_splits.TRAIN], made.get(dataset_splits.VALIDATION)

    def summary(self) -> str:
        """Returns the counts as text."""
        train, validation = self.count(dataset_splits.TRAIN), self.count(dataset_splits.VALIDATION)
        text = f"{train:,} locations to train on, {validation:,} for validation"
        text += f", {self.test:,} kept for the test" + (f", {self.outside:,} outside" if self.outside else "")
        if self._rule and self._rule not in (dataset_splits.Rule("blocked"), dataset_splits.Rule("random")):
            names = f"{dataset_splits.BLOCK_VARIABLE}={self._rule.block_deg!r} {dataset_splits.SEED_VARIABLE}"
            text += f" (tfds build divides so with {names}={self._rule.seed})"
        return text

    def _by_split(self, locations: Sequence[imagery_tree.Location]) -> dict[str, list[imagery_tree.Location]]:
        """Returns the locations of each split that is kept in memory; counts the others."""
        coords = imagery_tree.coords(locations)
        labels = self._cells.label(coords[:, 0], coords[:, 1])
        inside = [location for location, label in zip(locations, labels, strict=True) if label >= 0]
        names = self._split_names(inside)
        self.outside += len(locations) - len(inside)
        self.test += int(np.sum(names == dataset_splits.TEST))
        return {
            split: [location for location, name in zip(inside, names, strict=True) if name == split]
            for split in self._stores
        }

    def _split_names(self, locations: Sequence[imagery_tree.Location]) -> np.ndarray:
        """Returns the split of each location, `[n]` text, by the dataset's config."""
        coords = imagery_tree.coords(locations)
        if self._rule is None:
            request = dataset_splits.Request.from_environment("blocked" if self._data.config == "blocked" else "random")
            if self._streaming.follow:
                self._rule = dataset_splits.choose_by_extent(request, self._cells.bounds)
            else:
                self._rule = dataset_splits.choose(request, lambda: [coords])
        if self._rule.policy == "blocked":
            return dataset_splits.blocked(coords, self._rule.seed, self._rule.block_deg)
        return dataset_splits.random([location.location_id for location in locations], self._rule.seed)

    def _check(self, wanted: Sequence[imagery_tree.Location]) -> None:
        """Raises if an image is not whole, or the features would not fit."""
        root = self._streaming.imagery
        views = sum(len(location.views) for location in wanted)
        if self.views + views > self.capacity:
            wanted_gb = (self.views + views) * feature_store.bytes_a_row(self._encoder.feature_shape) / _BYTES_A_GB
            problem = (
                f"--memory_gb={self._streaming.memory_gb:g}: the features of {views:,} views take {wanted_gb:.1f}."
            )
            step = "pool them (--pooling=avg), raise it, or keep them on disk: tfds build geods, then trainers.extract"
            raise errors.OptionError(problem, step)
        facts = jpeg.check_files(imagery_tree.view_paths(wanted))
        jpeg.check_facts(facts, root, f"replace or delete them; python -m tools.check_tree --tree={root} lists all")

    def _fitting(self, wanted: Sequence[imagery_tree.Location]) -> list[imagery_tree.Location]:
        """Returns the first locations, as many as fit into memory."""
        totals = np.cumsum([len(location.views) for location in wanted]) + self.views
        kept = int(np.searchsorted(totals, self.capacity, side="right"))
        self.is_full = self.is_full or kept < len(wanted)
        return list(wanted[:kept])

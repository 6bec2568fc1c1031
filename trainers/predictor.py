"""A finished run as something that predicts."""

import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from geods import errors, partition
from model import backbones, geolocator
from trainers import features, folds, inputs, runs


class Predictor:
    """The network of a run with its partition.

    Attributes:
        folder: The run folder.
        options: What the run was trained with.
        partition: The cells it chooses from.
        height_px: Height of the images it takes.
        width_px: Width of the images it takes.
    """

    def __init__(self, run_dir: str | pathlib.Path) -> None:
        """Loads a run.

        Raises:
            RunError: If the folder is not a finished run, or its model does not fit its partition.
        """
        self.folder = runs.require(str(run_dir))
        self.options = runs.options_of(self.folder)
        self.partition = partition.read(self.folder / runs.PARTITION)
        self._network = geolocator.load(self.folder / runs.MODEL)
        self._classifier = self._network.get_layer("classifier")
        self._decoder = self._network.get_layer("decoder")
        self.height_px, self.width_px = self._network.input["image"].shape[2:4]
        if self._classifier.output_shape[-1] != len(self.partition):
            problem = f"{self.folder}: the model has {self._classifier.output_shape[-1]} cells, "
            problem += f"the partition {len(self.partition)}."
            raise errors.RunError(problem, "put back the run's own partition.geojson, or train again")
        runs.refuse_other_partition(self.folder)

    @classmethod
    def load(cls, run_dir: str | pathlib.Path) -> "Predictor":
        """Loads a run; see `__init__`."""
        return cls(run_dir)

    def predict(self, batches: Iterable[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Predicts from images.

        Args:
            batches: As `pipeline.batches` and `pipeline.tree_batches` give them, with all views.

        Returns:
            Log-probabilities float32 `[n, cells]`, and points float64 `[n, 2]`, (lat, lon) in degrees.
        """
        log_probabilities, points = [], []
        for batch in batches:
            result = self._network.predict_on_batch({"image": batch["image"], "view_mask": batch["view_mask"]})
            log_probabilities.append(np.asarray(result["log_probabilities"]))
            points.append(np.asarray(result["coords"], dtype=np.float64))
        return np.concatenate(log_probabilities), np.concatenate(points)

    def predict_features(
        self, cache: features.FeatureCache | folds.JoinedCache, batch_size: int, locations: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predicts from the cached features of locations `[n]`, all if not given; returns what `predict` does.

        Raises:
            CacheError: If the features are not those of this run's encoder.
        """
        mine = backbones.weights_sha256(self._network.get_layer("backbone").layer)
        if mine != cache.key.weights_sha256 or cache.feature_shape != self._classifier.input["features"].shape[2:]:
            problem = f"{cache.folder}: holds features of {cache.key.backbone} that are not those of {self.folder}."
            raise errors.CacheError(problem, "evaluate with --from_images, or extract with the run's encoder")
        truth = np.zeros((len(cache.rows.coords), 3), np.float32)
        chosen = np.arange(len(truth)) if locations is None else locations
        everything = inputs.CachedBatches(cache, truth, chosen, "all", batch_size)
        log_probabilities = [
            np.asarray(self._classifier(everything[number][0], training=False)) for number in range(len(everything))
        ]
        joined = np.concatenate(log_probabilities)
        return joined, np.asarray(self._decoder(joined), dtype=np.float64)

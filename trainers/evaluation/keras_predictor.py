"""Prediction with the network of a finished run."""

import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np

from geods import errors
from geods.geo import partition
from geods.input import pipeline, threaded_decoder
from geods.tree import imagery_tree, jpeg
from model import decode, geolocator
from model.encoders import backbones
from trainers.features import joined_cache
from trainers.runs import run_folder
from trainers.training import cached_batches


class KerasPredictor:
    """The network of a run with its partition.

    Attributes:
        folder: The run folder.
        checkpoint: Name of a chunk's model; empty for the run's own.
        options: The options of the training.
        partition: The cells it chooses from.
        network: From images to log-probabilities and points, as `geolocator.build_geolocator` returns it.
        height_px: Height of the images it takes.
        width_px: Width of the images it takes.
        exact_pixels: Whether large photographs are decoded whole.
    """

    def __init__(self, run_dir: str | pathlib.Path, checkpoint: str = "", exact_pixels: bool = False) -> None:
        """Loads a run, or the model of one of its chunks.

        Large photographs are decoded whole if that is asked for, or was for the training.

        Raises:
            RunError: If the folder is not a finished run, holds no such checkpoint, or its model does not fit its
                partition.
        """
        self.folder, self.checkpoint = run_folder.check_run(str(run_dir), checkpoint), checkpoint
        self.options = run_folder.options_of(self.folder)
        self.exact_pixels = exact_pixels or self.options.data.exact_pixels
        self.partition = partition.read(self.folder / run_folder.PARTITION)
        self.network = geolocator.load(run_folder.model_of(self.folder, checkpoint))
        self._classifier = self.network.get_layer("classifier")
        self._decoder = self.network.get_layer("decoder")
        self.height_px, self.width_px = self.network.input["image"].shape[2:4]
        if self._classifier.output_shape[-1] != len(self.partition):
            problem = f"{self.folder}: the model has {self._classifier.output_shape[-1]} cells, "
            problem += f"the partition {len(self.partition)}."
            raise errors.RunError(problem, "put back the run's own partition.geojson, or train again")
        run_folder.check_settings(self.folder)
        self._jpegs = threaded_decoder.ThreadedDecoder(self.height_px, self.width_px, exact_pixels=self.exact_pixels)

    def tree_batches(
        self,
        locations: Sequence[imagery_tree.Location],
        batch_size: int,
        facts: Iterable[jpeg.ImageFacts] | None = None,
    ) -> Iterable[dict[str, Any]]:
        """Returns the images of locations as `pipeline.tree_batches` gives them."""
        shape = pipeline.PipelineOptions(
            self.height_px, self.width_px, batch_size=batch_size, exact_pixels=self.exact_pixels
        )
        batches: Iterable[dict[str, Any]] = pipeline.tree_batches(locations, shape, facts)
        return batches

    def decode(self, content: bytes) -> np.ndarray:
        """Returns the pixels of a JPEG, uint8 `[h, w, 3]`, as in `tree_batches`.

        Many threads may call it.
        """
        return self._jpegs.decode_one(content)

    def predict(self, batches: Iterable[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Predicts from images.

        Returns what `pieces` yields, all of it at once.
        """
        return _joined(self.pieces(batches))

    def pieces(self, batches: Iterable[dict[str, Any]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predicts from images, batch by batch.

        Args:
            batches: As `pipeline.batches` and `pipeline.tree_batches` give them, with all views.

        Yields:
            Log-probabilities float32 `[b, cells]`, and points float64 `[b, 2]`, (lat, lon) in degrees.
        """
        for batch in batches:
            mask, most = np.asarray(batch["view_mask"]), self.options.data.views_per_place
            if most:
                mask = mask & (np.arange(mask.shape[1]) < most)
            result = self.network.predict_on_batch({"image": np.asarray(batch["image"]), "view_mask": mask})
            yield np.asarray(result["log_probabilities"]), np.asarray(result["coords"], dtype=np.float64)

    def feature_pieces(
        self,
        cache: joined_cache.Cache,
        batch_size: int,
        locations: np.ndarray | None = None,
        views: Literal["single", "all"] = "all",
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predicts from cached features of locations `[n]`, all if not given.

        Yields what `pieces` does.

        Raises:
            CacheError: If the features are not those of this run's encoder.
        """
        mine = backbones.weights_sha256(self.network.get_layer("backbone").layer)
        # Flags name one encoder, a comment of theirs several.
        if len(self.options.data.cache_dir) < 2:
            other = cache.key.differences(cache.key.of_encoder(self.options.encoder))
        else:
            lines = (self.folder / run_folder.FLAGS).read_text(encoding="utf-8").splitlines()
            is_same = cache.key.encoders_line in lines or not any(line.startswith("# encoders") for line in lines)
            other = [] if is_same else ["its encoders differ, or their order"]
        if mine != cache.key.weights_sha256 or cache.feature_shape != self._classifier.input["features"].shape[2:]:
            other.append("its weights or its shape differ")
        if other:
            problem = f"{cache.folder}: holds features of {cache.key.backbone} that are not those of {self.folder}"
            problem += f" ({'; '.join(other)})."
            raise errors.CacheError(problem, "evaluate with --from_images, or extract with the run's encoder")
        truth = np.broadcast_to(np.zeros(3, np.float32), (len(cache.rows.coords), 3))
        locations = np.arange(len(truth), dtype=np.int32) if locations is None else locations
        most = self.options.data.views_per_place if views == "all" else 0
        everything = cached_batches.CachedBatches(cache, truth, locations, views, batch_size, most_views=most)
        at_once = -(-decode.DECODED_AT_ONCE // batch_size)
        for start in range(0, len(everything), at_once):
            numbers = range(start, min(start + at_once, len(everything)))
            found = [self._classifier(everything[number][0], training=False) for number in numbers]
            log_probabilities = np.concatenate([keras.ops.convert_to_numpy(piece) for piece in found])
            points = keras.ops.convert_to_numpy(self._decoder(log_probabilities))
            yield log_probabilities, points.astype(np.float64)


def _joined(pieces: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log-probabilities and the points of all pieces."""
    log_probabilities, points = zip(*pieces, strict=True)
    return np.concatenate(log_probabilities), np.concatenate(points)

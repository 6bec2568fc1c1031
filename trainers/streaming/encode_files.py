"""Features of an imagery tree's views by a frozen encoder, in batches."""

import concurrent.futures
import os
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
import tqdm

from geods import errors
from geods.input import pipeline, threaded_decoder
from geods.tree import imagery_tree, jpeg
from trainers.features import runtimes

# A bar for a handful of views every few seconds would bury everything else.
_BAR_VIEWS = 500


class Encoder:
    """A frozen encoder for files.

    Attributes:
        feature_shape: Shape of the features of one view.

    Args:
        backbone: uint8 `[b, h, w, 3]` -> features `[b, *feature_shape]`.
        batch_size: Images it sees at once, at most.
        exact_pixels: Whether large photographs are decoded whole.
    """

    def __init__(self, backbone: keras.Model, batch_size: int, exact_pixels: bool = False) -> None:
        self.feature_shape = tuple(backbone.output_shape[1:])
        self._batch_size = batch_size
        height_px, width_px = backbone.input_shape[1:3]
        self._decoder = threaded_decoder.ThreadedDecoder(
            height_px, width_px, exact_pixels=exact_pixels, read=threaded_decoder.read_file
        )
        self._forward = runtimes.traced(backbone)

    def encode(
        self, locations: Sequence[imagery_tree.Location]
    ) -> Iterator[tuple[list[imagery_tree.Location], np.ndarray]]:
        """Yields some of the locations at a time, with the features of all their views.

        A location with an image that is missing or not a whole JPEG is left out with a message.

        Args:
            locations: Locations of an imagery tree.

        Yields:
            Locations, and float16 `[views, *feature_shape]`, those of the first location first.
        """
        total = sum(len(location.views) for location in locations)
        with tqdm.tqdm(total=total, desc="encoding", unit=" views", disable=total < _BAR_VIEWS) as bar:
            for start in range(0, len(locations), self._batch_size):
                some = locations[start : start + self._batch_size]
                if whole := _whole(some):
                    yield whole, self._features([str(path) for path in imagery_tree.view_paths(whole)])
                bar.update(sum(len(location.views) for location in some))

    def _features(self, paths: Sequence[str]) -> np.ndarray:
        """Returns the features of files, float16 `[n, *feature_shape]`."""
        pixels = tf.data.Dataset.from_tensor_slices(list(paths)).batch(self._batch_size)
        pixels = pixels.map(lambda some: tf.numpy_function(self._decoder.decode, [some], tf.uint8))
        parts = []
        for batch in pipeline.without_tuning(pixels.prefetch(2)):
            # Each new size is traced, which costs seconds: powers of two are few, and at most double the work.
            size = 1 << (len(batch) - 1).bit_length()
            padded = tf.pad(batch, [[0, size - len(batch)], [0, 0], [0, 0], [0, 0]])
            parts.append(self._forward(padded)[: len(batch)].astype(np.float16))
        return np.concatenate(parts)


def _whole(locations: Sequence[imagery_tree.Location]) -> list[imagery_tree.Location]:
    """Returns the locations whose images are whole.

    Prints what is wrong with the others.
    """
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = list(pool.map(_problem, locations))
    for location, problem in zip(locations, problems, strict=True):
        if problem:
            print(f"{location.location_id} is left out: {problem}", flush=True)
    return [location for location, problem in zip(locations, problems, strict=True) if not problem]


def _problem(location: imagery_tree.Location) -> str:
    """Returns the first problem of a location's images, or ""."""
    for view in location.views:
        try:
            fact = jpeg.check_file(view.path)
        except errors.MissingFileError as error:
            return error.problem
        if fact.problem:
            return f"{view.path}: {fact.problem}."
    return ""

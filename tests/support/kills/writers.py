"""Every writer of a file format, as a function of folder and size."""

import contextlib
import pathlib
from collections.abc import Callable

import drawn_trees
import keras
import numpy as np
import shapely

from geods.geo import partition
from geods.storage import checksums, files, seals
from geods.tree import string_array
from model import geolocator
from model.heads import classifiers
from trainers.features import cache_format, cache_writer
from trainers.runs import distance_metrics, prediction_writer
from trainers.training import snapshots


def _partition(folder: pathlib.Path, times: int) -> pathlib.Path:
    shapes = tuple(shapely.segmentize(shape, 0.1) for shape in drawn_trees.cells().shapes[:times])
    partition.write(partition.Partition(shapes), folder / "cells.geojson")
    return folder / "cells.geojson"


def _manifest(folder: pathlib.Path, times: int) -> pathlib.Path:
    checksums.write(folder / "list", {f"{number}.jpg": "0" * 64 for number in range(50 * times)})
    return folder / "list"


def _seal(folder: pathlib.Path, times: int) -> pathlib.Path:
    with contextlib.suppress(OSError):
        (folder / "a file").touch()
    # One file by many names: each is flushed to disk.
    seals.write(folder, [f"{'./' * number}a file" for number in range(4 * times)])
    return folder / seals.NAME


def _cache(folder: pathlib.Path, times: int, rows: int = 1) -> cache_writer.CacheWriter:
    key = cache_format.CacheKey("d", "s", "b", "w", 1, 1, "own", "", "avg", "float32", "float32")
    of = cache_format.Rows(
        string_array.Texts.of(["1,2"] * rows), np.zeros((rows, 2)), np.ones(rows, np.int64), np.zeros(rows, np.float32)
    )
    with contextlib.suppress(OSError):
        (folder / cache_format.INDEX).unlink(missing_ok=True)
    return cache_writer.CacheWriter(folder, key, {}, of, (512 * times,), 1)


def _block(folder: pathlib.Path, times: int) -> pathlib.Path:
    _cache(folder, times).write(0, np.ones((1, 512 * times)))
    return cache_format.block_path(folder, 0)


def _rows(folder: pathlib.Path, times: int) -> pathlib.Path:
    _cache(folder, 1, 40 * times)
    return folder / cache_format.ARRAYS


def _network(times: int) -> keras.Model:
    network = geolocator.build_classifier(classifiers.build("linear", (64 * times,), 15), (64 * times,))
    network.compile("adam", "mse")
    return network


def _model(folder: pathlib.Path, times: int) -> pathlib.Path:
    geolocator.save(_network(times), folder / "model.keras")
    return folder / "model.keras"


def _snapshot(folder: pathlib.Path, times: int) -> pathlib.Path:
    network = _network(times)
    snapshots.Snapshots(network, None, 1, None).write(folder / "snapshot.npz")
    return folder / "snapshot.npz"


def _probabilities(folder: pathlib.Path, times: int) -> pathlib.Path:
    truth, cells = np.zeros((100 * times, 2)), drawn_trees.cells()
    probabilities = np.full((len(truth), len(cells)), 1 / len(cells))
    guesses = distance_metrics.Guesses(
        truth, np.zeros(len(truth), int), truth, distance_metrics.top_cells(probabilities)
    )
    with prediction_writer.writing(folder, *probabilities.shape) as writer:
        writer.add(["0,0"] * len(truth), guesses, probabilities)
    return folder / "predictions.csv"


def _text(folder: pathlib.Path, times: int) -> pathlib.Path:
    files.write_text(folder / "text", "x" * 3000 * times)
    return folder / "text"


# Each writes the more the greater `times` is, and returns the file that is the first not to fit.
WRITERS: dict[str, Callable[[pathlib.Path, int], pathlib.Path]] = {
    "text": _text,
    "partition": _partition,
    "list of images": _manifest,
    "seal": _seal,
    "block of a cache": _block,
    "rows of a cache": _rows,
    "model": _model,
    "snapshot of a training": _snapshot,
    "predictions": _probabilities,
}

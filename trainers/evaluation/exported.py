"""Exported networks compared with their run, on the run's own locations."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from geods import errors
from geods.dataset import dataset_reader, records, splits
from geods.input import tf_decoder
from geods.tree import named_images
from model.export import runners
from trainers.evaluation import keras_predictor
from trainers.runs import run_folder

_OUTPUTS = ("coords", "log_probabilities")


@dataclasses.dataclass(frozen=True)
class Difference:
    """Greatest differences between an exported network and its run.

    Attributes:
        locations: Locations compared.
        log_probability: Greatest absolute difference of log-probabilities.
        other_points: Locations whose predicted point differs by more than 1e-3 degrees, 0.1 km.
        other_cells: Locations whose most probable cell differs.
    """

    locations: int
    log_probability: float
    other_points: int
    other_cells: int


def read_jpegs(model: keras_predictor.KerasPredictor, images: str, count: int) -> list[list[bytes]]:
    """Returns the JPEGs of the views of a run's locations.

    Args:
        model: The run.
        images: Image, folder or tree to take instead; empty for the run's own dataset, its test split first.
        count: Locations at most.

    Raises:
        RunError: If the run's dataset is not there.
    """
    if images:
        return [[view.path.read_bytes() for view in one.views] for one in named_images.find(images)[:count]]
    data = model.options.data
    try:
        builder = dataset_reader.open_builder(run_folder.dataset_of(data), data.config)
    except errors.GeodsError as error:
        problem = f"{model.folder}: the dataset it was trained on cannot be read: {error.problem}"
        raise errors.RunError(problem, "name images to compare on: --images=FOLDER_OR_TREE") from error
    filled = [name for name in reversed(splits.NAMES) if name in builder.info.splits]
    rows = records.read(builder, filled[0]).take(count).map(records.parse_one)
    return [row["views"]["image"].tolist() for row in rows.as_numpy_iterator()]


def batches(
    model: keras_predictor.KerasPredictor, jpegs: list[list[bytes]], at_once: int = 8
) -> list[dict[str, np.ndarray]]:
    """Returns locations as batches for every format.

    Each is `jpeg` object `[b, v]`, `image` uint8 `[b, v, h, w, 3]` and `view_mask` bool `[b, v]`.
    """
    result = []
    for start in range(0, len(jpegs), at_once):
        some = jpegs[start : start + at_once]
        most = max(map(len, some))
        decoded = [
            tf_decoder.decode_views(tf.constant(views), most, model.height_px, model.width_px, model.exact_pixels)
            for views in some
        ]
        result.append(
            {
                "jpeg": np.array([[*views, *[b""] * (most - len(views))] for views in some], dtype=object),
                "image": np.stack([pixels.numpy() for pixels, _ in decoded]),
                "view_mask": np.stack([mask.numpy() for _, mask in decoded]),
            }
        )
    return result


def decoder(model: keras_predictor.KerasPredictor) -> Callable[[Any], Any]:
    """Returns the TensorFlow function from a JPEG to the pixels of a run's network."""
    return lambda content: tf_decoder.decode_image(content, model.height_px, model.width_px, model.exact_pixels)


def compare(
    path: pathlib.Path, model: keras_predictor.KerasPredictor, given: list[dict[str, np.ndarray]]
) -> Difference:
    """Compares an exported file, run in a process of its own, with the run's network.

    Args:
        path: File, or folder of a SavedModel.
        model: The run.
        given: What `batches` returned.

    Raises:
        RunError: If the file cannot be opened or run.
    """
    wanted = [
        {"image": one["image"], "view_mask": one["view_mask"]} if path.suffix else runners.joined(one["jpeg"])
        for one in given
    ]
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = pathlib.Path(folder, "inputs.npz"), pathlib.Path(folder, "outputs.npz")
        arrays: dict[str, Any] = {f"{name}{n}": value for n, one in enumerate(wanted) for name, value in one.items()}
        np.savez(inputs, **arrays)
        command = [sys.executable, "-m", "model.export.runners", str(path), str(inputs), str(outputs)]
        done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            problem = f"{path.name}: was written but cannot be run: {said[:300]}"
            raise errors.RunError(problem, "choose another --format")
        with np.load(outputs, allow_pickle=False) as found:
            log_probabilities, points = found["log_probabilities"], found["coords"]
    wanted_log, wanted_points = model.predict(given)
    return Difference(
        len(points),
        float(np.abs(log_probabilities - wanted_log).max()),
        int((np.abs(points - wanted_points).max(axis=1) > 1e-3).sum()),
        int((log_probabilities.argmax(axis=1) != wanted_log.argmax(axis=1)).sum()),
    )


def _environment() -> dict[str, str]:
    """Returns the environment of a process with the same packages, logging errors."""
    root = str(pathlib.Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}

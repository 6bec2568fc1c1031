"""Whole networks as one model: backbone, head, fusion of views, decoder.

classifier = geolocator.build_classifier(head, feature_shape)
model = geolocator.build_geolocator(backbone, classifier, decoder)
geolocator.save(model, "model.keras")
model = geolocator.load("model.keras")
"""

import math
import os
import pathlib
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from geods import errors
from geods.storage import files
from model import decode, safe_loading
from model.encoders import backbones, fine_tuning, keras_hub_encoders, onnx_encoder, second_order_pooling
from model.fusion import fusion, lstm, views
from model.heads import centroids, kernel_regression, knn

# What a saved network may hold besides what this module builds: Keras finds only classes of modules that are imported.
_ALSO_IN_FILES = (
    centroids.CentroidDistances,
    fine_tuning.Blocks,
    kernel_regression.KernelRegression,
    second_order_pooling.MatrixSquareRoot,
    second_order_pooling.SecondOrderPooling,
    knn.NeighbourDensity,
    onnx_encoder.OnnxEncoder,
)


def build_classifier(
    head: keras.Model, feature_shape: tuple[int, ...], fuse: str = "mean", blocks: keras.Model | None = None
) -> keras.Model:
    """Builds a classifier: a head on every view, and the fusion of the views.

    Args:
        head: keras.Model features `[n, *fusion.head_shape(fuse, shape)]` -> logits `[n, cells]`, where shape is that
            of one view's features, or of what the blocks make of them.
        feature_shape: Shape of one view's features: (h, w, c), or (c,) if they were pooled.
        fuse: How to fuse the views, one of fusion.NAMES.
        blocks: What stands between features and head, such as `fine_tuning.blocks_behind`; None for nothing.

    Returns:
        keras.Model: {"features": `[b, v, *feature_shape]`, "view_mask": bool `[b, v]`} -> log-probabilities float32
        `[b, cells]`, for any b and v.

    Raises:
        OptionError: If there is no such fusion, or the head was made for other features.
    """
    features = keras.Input((None, *feature_shape), name="features")
    view_mask = keras.Input((None,), dtype="bool", name="view_mask")
    seen = views.PerView(blocks, name="blocks")(features) if blocks else features
    log_probabilities = fusion.fuse(fuse, head, seen, view_mask)
    return keras.Model({"features": features, "view_mask": view_mask}, log_probabilities, name="classifier")


def join_classifiers(classifiers: Sequence[keras.Model]) -> keras.Model:
    """Builds an ensemble: the normalised mean of log-probabilities.

    Args:
        classifiers: At least one, as `build_classifier` returns them, over the same cells.

    Returns:
        keras.Model as `build_classifier` returns it.
    """
    shape = classifiers[0].input["features"].shape[1:]
    inputs = {
        "features": keras.Input(shape, name="features"),
        "view_mask": keras.Input((None,), dtype="bool", name="view_mask"),
    }
    # Models of their own names: two layers of one name cannot be saved.
    members = [keras.Model(one.input, one.output, name=f"member_{n}") for n, one in enumerate(classifiers)]
    mean = keras.layers.Average(dtype="float32", name="mean_of_members")([member(inputs) for member in members])
    scaled = lstm.LogProbabilities(name="log_probabilities")(mean, inputs["view_mask"])
    return keras.Model(inputs, scaled, name="classifier")


def build_geolocator(backbone: backbones.Backbone, classifier: keras.Model, decoder: decode.Decoder) -> keras.Model:
    """Builds the network from images to points.

    Returns:
        keras.Model: {"image": uint8 `[b, v, h, w, 3]`, "view_mask": bool `[b, v]`} -> {"log_probabilities": float32
        `[b, cells]`, "coords": float32 `[b, 2]` (lat, lon) degrees}, for any b and v.
    """
    image, view_mask, log_probabilities = _from_images(backbone, classifier)
    outputs = {"log_probabilities": log_probabilities, "coords": decoder(log_probabilities)}
    return keras.Model({"image": image, "view_mask": view_mask}, outputs, name="geolocator")


def build_trainable(backbone: backbones.Backbone, classifier: keras.Model) -> keras.Model:
    """Builds the network from images to log-probabilities, to train end to end.

    Returns:
        keras.Model: {"image": uint8 `[b, v, h, w, 3]`, "view_mask": bool `[b, v]`} -> log-probabilities float32
        `[b, cells]`, for any b and v.
    """
    image, view_mask, log_probabilities = _from_images(backbone, classifier)
    return keras.Model({"image": image, "view_mask": view_mask}, log_probabilities, name="trainable")


def save(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Saves a model as a .keras file, atomically.

    Raises:
        RunError: If the name does not end in .keras.
    """
    if not str(path).endswith(".keras"):
        raise errors.RunError(f"{path}: a model's file name ends in .keras.", "give it that suffix")
    size_bytes = sum(math.prod(weight.shape) * np.dtype(weight.dtype).itemsize for weight in model.weights)
    with files.atomic_path(path, size_bytes) as temporary:
        model.save(temporary)


def load(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a model that `save` wrote. Code in the file is never run.

    Returns:
        The model, not compiled.

    Raises:
        RunError: If the file is missing or is not a whole .keras model.
    """
    step = "name the model.keras of a finished run, or train again with python -m trainers.train"
    if not pathlib.Path(path).is_file():
        raise errors.RunError(f"{path}: no such file.", step)
    if not str(path).endswith(".keras") or not zipfile.is_zipfile(path):
        raise errors.RunError(f"{path}: not a .keras model, or cut short; {_start_of(path)}.", step)
    try:
        if safe_loading.check_foreign(path):
            keras_hub_encoders.library()
        with warnings.catch_warnings():
            # Keras only warns of layers it found no weights for; they would predict at random.
            warnings.filterwarnings("error", message="Skipping nested container")
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except errors.BackboneError:
        raise
    # A damaged archive raises whatever Keras, zipfile or h5py meet first.
    except Exception as error:
        raise errors.RunError(
            f"{path}: not a usable .keras model: {errors.in_short(errors.root(error))}", step
        ) from error


def _from_images(backbone: backbones.Backbone, classifier: keras.Model) -> tuple[Any, Any, Any]:
    """Returns the symbolic images, view mask and log-probabilities.

    `[b, v, h, w, 3]`, `[b, v]` and `[b, cells]`.
    """
    image = keras.Input((None, *backbone.input_shape[1:]), dtype="uint8", name="image")
    view_mask = keras.Input((None,), dtype="bool", name="view_mask")
    features = views.PerView(backbone, name="backbone")(image)
    return image, view_mask, classifier({"features": features, "view_mask": view_mask})


def _start_of(path: str | os.PathLike[str]) -> str:
    """Describes the first bytes of a file, which tell a web page from a model."""
    with open(path, "rb") as source:
        start = source.read(24)
    return f"it starts with {start!r}" if start else "it is empty"


def layer_table(model: keras.Model) -> str:
    """Returns a table of the layers, as in the course report's Figures 5 and 8.

    A row has the output shape and the parameters of a layer; the encoder is one row.

    Args:
        model: A head, a classifier, or a whole network as `load` returns it.
    """
    rows = [("Layer", "Type", "Output shape", "Parameters"), *map(_table_row, _unfolded(model))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3].rjust(widths[3])]) for row in rows]
    trainable, whole = _parameters(model.trainable_weights), _parameters(model.weights)
    return "\n".join([*lines, f"trainable {trainable:,}, others {whole - trainable:,}, all {whole:,}"])


def _unfolded(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a network, with inner models, but the encoder, unfolded."""
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)
        if isinstance(inner, keras.Model) and not isinstance(inner, backbones.Backbone):
            yield from _unfolded(inner)
        elif not isinstance(inner, keras.layers.InputLayer):
            yield inner


def _table_row(layer: keras.layers.Layer) -> tuple[str, str, str, str]:
    output = layer.output
    shapes = [tuple(part.shape[1:]) for part in keras.tree.flatten(output)]
    return layer.name, type(layer).__name__, ", ".join(map(str, shapes)), f"{layer.count_params():,}"


def _parameters(weights: list[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)

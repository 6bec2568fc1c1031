"""Weights of encoders: ImageNet's, a file's, or random ones that a seed repeats.

Random weights are the same for a seed in every process and on every Keras backend. Keras' own initial weights (Glorot)
need batch normalisation to restore the scale after every layer; a frozen encoder normalises nothing, and with them the
features of MobileNetV2 have a deviation of 1e-12; with these it is about 1.
"""

import pathlib
import warnings

import h5py
import keras
import numpy as np

from geods import errors
from geods.storage import files
from model.encoders import registry

IMAGENET = "imagenet"
RANDOM = "random"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_IMAGENET_STDDEV_RGB = (0.229, 0.224, 0.225)
# Layers that keep the scale of their input.
_TRANSPARENT = (keras.layers.BatchNormalization, keras.layers.Dropout)


def make_encoder(name: str, source: str, height_px: int | None, width_px: int | None, seed: int) -> keras.Model:
    """Builds an encoder without its classifier.

    Args:
        name: Name in model.encoders.registry.
        source: "imagenet" (downloaded once by Keras), "random", or the path of a weights file: `.weights.h5` of
            Keras 3, or the older `.h5`.
        height_px: Height of the images; None for any.
        width_px: Width of the images; None for any.
        seed: Repeats "random" weights.

    Returns:
        keras.Model: preprocessed float images `[b, height_px, width_px, 3]` -> features `[b, h', w', c]`.

    Raises:
        BackboneError: If the encoder or the weights do not fit.
        MissingFileError: If `source` is a path that is not there.
    """
    encoder = registry.find(name)
    initial = IMAGENET if source == IMAGENET else None
    try:
        with warnings.catch_warnings():
            # The MobileNets warn that the weights were trained at 224x224; ours are convolutions of any size.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
            model = encoder.construct(include_top=False, weights=initial, input_shape=(height_px, width_px, 3))
    except errors.BackboneError:
        raise
    except ValueError as error:
        size = f"{height_px}x{width_px} px" if height_px else "several sizes"
        problem = f"{name} for images of {size}: {errors.in_short(error)}"
        step = "fix that (--height_px and --width_px set the size), or take another encoder"
        raise errors.BackboneError(problem, step) from error
    # Keras raises a bare Exception when a download fails.
    except Exception as error:
        problem = f"{name}: its ImageNet weights could not be downloaded: {errors.in_short(error)}"
        step = "where there is no network, download that file elsewhere and pass --backbone_weights=PATH"
        raise errors.BackboneError(problem, step) from error
    if source == RANDOM:
        fill(model, seed)
    elif source != IMAGENET:
        _load(model, name, source)
    return model


def _load(model: keras.Model, name: str, path: str) -> None:
    """Loads a weights file into an encoder.

    Raises:
        BackboneError: If the file is not HDF5 or holds other weights.
        MissingFileError: If there is no such file.
    """
    found = files.check_file(path, "--backbone_weights takes imagenet, random, or the path of a weights file")
    step = f"pass weights of {name} without its classifier, as .weights.h5 (Keras 3) or .h5 (older)"
    with open(found, "rb") as source:
        start = source.read(len(_HDF5_SIGNATURE))
    if start != _HDF5_SIGNATURE:
        raise errors.BackboneError(f"{path}: not an HDF5 weights file for {name}; it starts with {start!r}.", step)
    try:
        with warnings.catch_warnings():
            # One for each block of an encoder that does not fit, before the exception that says so.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            model.load_weights(path)
    # What Keras and h5py raise for a foreign or damaged file ranges from OSError to KeyError.
    except Exception as error:
        step = _name_hint(found) or step
        raise errors.BackboneError(f"{path}: does not fit {name}: {errors.in_short(error)}", step) from error
    _correct_normalisation(model)


def _name_hint(path: pathlib.Path) -> str:
    """Returns the next step for a file named as the other format, else an empty text.

    Keras chooses how to read by the end of the name: `.weights.h5` is its own format, any other `.h5` the older one.
    """
    try:
        with h5py.File(path) as file:
            # The older format has the names of the layers as an attribute of the root or of model_weights.
            is_older = "layer_names" in file.attrs or "layer_names" in getattr(file.get("model_weights"), "attrs", {})
            is_newer = "layers" in file
    except OSError:
        return ""
    is_named_new = path.name.endswith(".weights.h5")
    if not (is_older if is_named_new else is_newer):
        return ""
    wanted = path.name.removesuffix(".weights.h5").removesuffix(".h5") + (".h5" if is_older else ".weights.h5")
    kind = "of Keras before 3" if is_older else "of Keras 3"
    return f"Keras reads by the end of a file's name; these are weights {kind}: rename the file {wanted}"


def _correct_normalisation(model: keras.Model) -> None:
    """Corrects the input normalisation of EfficientNet weights from a file.

    Those files hold the standard deviation of ImageNet in place of the variance. Keras makes up for it with one more
    layer, but only under weights="imagenet" (github.com/tensorflow/tensorflow/issues/49930).
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            variance = np.ravel(keras.ops.convert_to_numpy(layer.adapt_variance))
            if variance.shape == (3,) and np.allclose(variance, _IMAGENET_STDDEV_RGB, atol=1e-6):
                layer.adapt_variance.assign(np.reshape(np.square(variance), layer.adapt_variance.shape))
                layer.finalize_state()


def fill(encoder: keras.Model, seed: int) -> None:
    """Draws random kernels for an encoder; other weights keep Keras' initial values.

    Kernels are normal with variance gain / fan-in: gain 2 before a ReLU, which halves the signal (He et al. 2015,
    arXiv 1502.01852), and 1 before a residual sum, where there is none; with 2 there as well, the features of
    ResNet50 pass 10^5, more than float16 holds.
    """
    rng = np.random.default_rng(seed)
    summed = _feeding_sums(encoder)
    for layer in encoder.layers:
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                gain = 1.0 if layer.name in summed else 2.0
                values = rng.standard_normal(weight.shape, dtype="float32")
                weight.assign(values * np.float32(np.sqrt(gain / _fan_in(tuple(weight.shape)))))


def _fan_in(shape: tuple[int, ...]) -> int:
    """Returns how many values one output of a kernel sums."""
    # A depthwise kernel [h, w, channels, 1] sums over h and w alone; no encoder has a convolution of one filter.
    depthwise = len(shape) == 4 and shape[-1] == 1
    return int(np.prod(shape[:2] if depthwise else shape[:-1]))


def _feeding_sums(encoder: keras.Model) -> set[str]:
    """Returns the layers whose output reaches a residual sum without activation."""
    makers = {id(layer.output): layer for layer in encoder.layers}
    found = set()
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Add):
            for tensor in layer.input:
                maker = makers[id(tensor)]
                while isinstance(maker, _TRANSPARENT):
                    maker = makers[id(maker.input)]
                found.add(maker.name)
    return found

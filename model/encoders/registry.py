"""Encoders by name: of keras.applications, keras-hub and the report.

A name is the constructor's in snake case: ResNet50V2 is `resnet50_v2`, ConvNeXtTiny is `convnext_tiny`. The list comes
from keras.applications itself, so that it does not age. Names of keras-hub start with `hub:`.
"""

import dataclasses
import difflib
import functools
import inspect
import re
from collections.abc import Callable

import keras
import numpy as np

from geods import errors
from model import tensors
from model.encoders import keras_hub_encoders, onnx_files

# Of the report's CNN: filters of its four pairs of convolutions, and the momentum of its normalisation.
_FILTERS = (128, 64, 64, 512)
_MOMENTUM = 0.6
_SIZES = ("tiny", "small", "s", "base", "m", "large", "l", "xlarge")


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Constructor and preprocessing of an encoder.

    Attributes:
        name: Snake-case name.
        construct: The function that builds it, with the arguments of those in keras.applications.
        preprocess: Its module's preprocess_input: float images `[b, h, w, 3]` of 0 to 255 (RGB) -> what it was
            trained on, same shape.
    """

    name: str
    construct: Callable[..., keras.Model]
    preprocess: Callable[[tensors.Tensor], tensors.Tensor]

    @property
    def carries_preprocessing(self) -> bool:
        """Whether the preprocessing is part of the encoder's own layers."""
        levels = np.array([[[[0.0, 127.0, 255.0]]]], dtype="float32")
        # Some preprocess_input functions write into a numpy array they are given.
        return bool(np.array_equal(self.preprocess(levels.copy()), levels))


def names() -> list[str]:
    """Returns the names of all encoders, sorted."""
    return sorted(_registry())


def find(name: str) -> Encoder:
    """Returns an encoder by its name.

    Raises:
        BackboneError: If there is none; the message lists the closest names.
    """
    if onnx_files.is_onnx(name):
        problem = f"{name}: is run by another library than Keras, which gives no gradients, so it stays frozen."
        raise errors.BackboneError(
            problem, "leave --unfreeze out, or take an encoder of keras.applications or keras-hub"
        )
    if name.startswith(keras_hub_encoders.PREFIX):
        return Encoder(name, keras_hub_encoders.constructor_of(name), keras_hub_encoders.preprocess_of(name))
    if name not in _registry():
        close = sorted(difflib.get_close_matches(snake_case(name), names(), n=8, cutoff=0.5), key=_size)[:4]
        hint = (
            f"did you mean {', '.join(close)}?" if close else f"give onnx:PATH, hub:NAME or one of {', '.join(names())}"
        )
        raise errors.BackboneError(f"{name!r} is not an encoder of keras.applications.", hint)
    return _registry()[name]


def _size(name: str) -> tuple[int, list[int]]:
    """Returns a key that orders the encoders of a family by size, the smallest first."""
    word = name.rpartition("_")[2]
    return _SIZES.index(word) if word in _SIZES else -1, [int(number) for number in re.findall(r"\d+", name)]


def snake_case(name: str) -> str:
    """Returns a name of keras.applications in snake case.

    For example, NASNetMobile is nasnet_mobile.
    """
    joined = re.sub("Net|NeXt", lambda part: part.group().lower(), name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", joined).lower()


@functools.cache
def _registry() -> dict[str, Encoder]:
    found = {"report_cnn": Encoder("report_cnn", ReportCNN, preprocess_input)}
    for name, construct in inspect.getmembers(keras.applications, inspect.isfunction):
        if "include_top" in inspect.signature(construct).parameters:
            # keras.applications.mobilenet_v3 publishes preprocess_input but not its constructors, so the way leads
            # from the constructor to the module it was written in.
            module = getattr(keras.applications, construct.__module__.rsplit(".", 1)[-1])
            found[snake_case(name)] = Encoder(snake_case(name), construct, module.preprocess_input)
    return found


def ReportCNN(  # noqa: N802 - named as the constructors of keras.applications
    include_top: bool = False, weights: str | None = None, input_shape: tuple[int, int, int] = (300, 600, 3)
) -> keras.Model:
    """Builds the trainable CNN of the report's second solution.

    Eight 3x3 convolutions in four pairs, each followed by batch normalisation and, but for the last, 2x2 max pooling.
    With a global max pool, LSTM(64) and the layers 1024/512/128/64 over 243 cells it has 3,821,299 trainable
    parameters, the report's "3.8M" (github.com/Nirvan66/geoguessrLSTM, 2020).

    Args:
        include_top: False: it has no classifier.
        weights: None: there are none to load.
        input_shape: (height, width, 3), each side at least 8.

    Returns:
        keras.Model: float images `[b, h, w, 3]` of 0 to 1 -> features `[b, h // 8, w // 8, 512]`.

    Raises:
        BackboneError: If weights or a classifier are asked for, or the images are too small.
    """
    if weights is not None or include_top:
        raise errors.BackboneError(
            "report_cnn has neither published weights nor a classifier.",
            "train it: --backbone=report_cnn --backbone_weights=random --train_backbone",
        )
    # Of no size where it is to take images of several.
    if None not in input_shape and min(input_shape[:2]) < 2 ** (len(_FILTERS) - 1):
        problem = f"report_cnn halves images of {input_shape[0]}x{input_shape[1]} px three times."
        raise errors.BackboneError(problem, "give images of at least 8x8 px")
    images = keras.Input(input_shape, name="image")
    hidden = images
    for pair, filters in enumerate(_FILTERS, start=1):
        for number in (1, 2):
            name = f"block{pair}_conv{number}"
            hidden = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(hidden)
        hidden = keras.layers.BatchNormalization(momentum=_MOMENTUM, name=f"block{pair}_bn")(hidden)
        if pair < len(_FILTERS):
            hidden = keras.layers.MaxPooling2D(name=f"block{pair}_pool")(hidden)
    return keras.Model(images, hidden, name="report_cnn")


def preprocess_input(images: tensors.Tensor) -> tensors.Tensor:
    """Scales images `[b, h, w, 3]` from 0..255 to 0..1.

    The report fed 0 to 255 (--preprocessing=raw).
    """
    return images / 255.0

"""The encoders keras.applications offers, found by walking it rather than from a list that would age, and the report's.

A name is the constructor's in snake case: ResNet50V2 is `resnet50_v2`, ConvNeXtTiny is `convnext_tiny`. The one of our
own is `report_cnn`, which the report trained from nothing. Those of keras-hub begin with `hub:`.

The trainable CNN that the report's second solution offers in place of ResNet50.

Eight 3x3 convolutions in four pairs (128, 64, 64, 512 filters), each pair followed by batch normalisation of momentum
0.6 and, but for the last, 2x2 max pooling. With a global max pool, LSTM(64) and the layers 1024/512/128/64 over 243
cells it has 3,821,299 trainable parameters, the report's "3.8M" (github.com/Nirvan66/geoguessrLSTM, 2020).
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
from model.encoders import keras_hub_encoders


@dataclasses.dataclass(frozen=True)
class Encoder:
    """One encoder.

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
        """Whether the preprocessing is among the encoder's own layers, so that it cannot be left out."""
        levels = np.array([[[[0.0, 127.0, 255.0]]]], dtype="float32")
        # Some preprocess_input functions write into a numpy array they are given.
        return bool(np.array_equal(self.preprocess(levels.copy()), levels))


def names() -> list[str]:
    """Returns the names of all encoders, sorted."""
    return sorted(_registry())


def find(name: str) -> Encoder:
    """Returns the encoder called `name`.

    Raises:
        BackboneError: If there is none; the message lists the closest names.
    """
    if name.startswith(keras_hub_encoders.PREFIX):
        return Encoder(name, keras_hub_encoders.constructor_of(name), keras_hub_encoders.preprocess_of(name))
    if name not in _registry():
        close = difflib.get_close_matches(snake_case(name), names(), n=4, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else f"choose one of {', '.join(names())}"
        raise errors.BackboneError(f"{name!r} is not an encoder of keras.applications.", hint)
    return _registry()[name]


def snake_case(name: str) -> str:
    """Returns a keras.applications name such as NASNetMobile in snake case: nasnet_mobile."""
    joined = re.sub("Net|NeXt", lambda part: part.group().lower(), name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", joined).lower()


@functools.cache
def _registry() -> dict[str, Encoder]:
    """Returns every encoder by name."""
    found = {"report_cnn": Encoder("report_cnn", ReportCNN, preprocess_input)}
    for name, construct in inspect.getmembers(keras.applications, inspect.isfunction):
        if "include_top" in inspect.signature(construct).parameters:
            # keras.applications.mobilenet_v3 publishes preprocess_input but not its constructors, so the way leads
            # from the constructor to the module it was written in.
            module = getattr(keras.applications, construct.__module__.rsplit(".", 1)[-1])
            found[snake_case(name)] = Encoder(snake_case(name), construct, module.preprocess_input)
    return found


_FILTERS = (128, 64, 64, 512)
_MOMENTUM = 0.6


def ReportCNN(  # noqa: N802 - named as the constructors of keras.applications
    include_top: bool = False, weights: str | None = None, input_shape: tuple[int, int, int] = (300, 600, 3)
) -> keras.Model:
    """Builds the encoder, with the arguments of a keras.applications constructor.

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
    if min(input_shape[:2]) < 2 ** (len(_FILTERS) - 1):
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
    """Returns images `[b, h, w, 3]` of 0 to 255 as 0 to 1; the report fed 0 to 255 (--preprocessing=raw)."""
    return images / 255.0

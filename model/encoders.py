"""The encoders keras.applications offers, found by walking it rather than from a list that would age, and the report's.

A name is the constructor's in snake case: ResNet50V2 is `resnet50_v2`, ConvNeXtTiny is `convnext_tiny`. The one of our
own is `report_cnn`, which the report trained from nothing. Those of keras-hub begin with `hub:`.
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
from model import hub_encoders, report_cnn, tensors


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
    if name.startswith(hub_encoders.PREFIX):
        return Encoder(name, hub_encoders.constructor_of(name), hub_encoders.preprocess_of(name))
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
    found = {"report_cnn": Encoder("report_cnn", report_cnn.ReportCNN, report_cnn.preprocess_input)}
    for name, construct in inspect.getmembers(keras.applications, inspect.isfunction):
        if "include_top" in inspect.signature(construct).parameters:
            # keras.applications.mobilenet_v3 publishes preprocess_input but not its constructors, so the way leads
            # from the constructor to the module it was written in.
            module = getattr(keras.applications, construct.__module__.rsplit(".", 1)[-1])
            found[snake_case(name)] = Encoder(snake_case(name), construct, module.preprocess_input)
    return found

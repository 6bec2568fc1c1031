"""Frozen encoders with preprocessing and pooling: uint8 images to features.

spec = backbones.BackboneSpec(name="mobilenet_v2", weights="random", pooling="avg")
features = backbones.build(spec)(images)  # uint8 [b, 300, 600, 3] -> float32 [b, 1280]
"""

import dataclasses
import difflib
import hashlib
import re
from collections import defaultdict
from typing import Any

import keras
import numpy as np

from geods import errors
from model import tensors
from model.encoders import onnx_encoder, onnx_files, registry, second_order_pooling
from model.encoders import preprocessing as encoders_preprocessing
from model.encoders import weights as encoders_weights

_POOLINGS = ("none", "avg", "max", "moments")
_PREPROCESSINGS = ("own", "raw")


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """Encoder, weights, layer, pooling and input size of a backbone.

    Equal specs and equal weights give equal features.

    Attributes:
        name: Encoder, one of `names()`, `hub:PRESET` or `onnx:PATH`.
        weights: "imagenet", "random", or the path of a weights file; an ONNX file has its own.
        layer: Layer, or output of an ONNX file, whose output is taken; "" for the encoder's output.
        pooling: "avg" or "max" over the feature map, "moments" for its second-order pooling, "none" to keep
            it.
        height_px: Height of the images; 300 is the report's.
        width_px: Width of the images; 600 is the report's.
        more_heights_px: Heights of further input sizes; their features follow in order.
        preprocessing: "own" for what the encoder was trained with, "raw" for 0 to 255 as the report fed it.
        seed: Repeats "random" weights.
        mean: Of RGB levels 0 to 255 that an ONNX file is fed, or a preset (`onnx_files.normalisation`).
        scale: By which levels less the mean are divided.

    Raises:
        BackboneError: If a value is out of range or unknown.
    """

    name: str = "resnet50"
    weights: str = "imagenet"
    layer: str = ""
    pooling: str = "none"
    height_px: int = 300
    width_px: int = 600
    more_heights_px: tuple[int, ...] = ()
    preprocessing: str = "own"
    seed: int = 0
    mean: str = ""
    scale: str = ""

    def __post_init__(self) -> None:
        """Checks the values."""
        # JSON has lists.
        object.__setattr__(self, "more_heights_px", tuple(self.more_heights_px))
        for field, value, allowed in (
            ("pooling", self.pooling, _POOLINGS),
            ("preprocessing", self.preprocessing, _PREPROCESSINGS),
        ):
            if value not in allowed:
                raise errors.BackboneError(f"{field} is {value!r}.", f"choose one of {', '.join(allowed)}")
        self._check_preprocessing()
        for height_px, width_px in self.sizes_px:
            if height_px < 1 or width_px < 1:
                problem = f"images of {height_px}x{width_px} px have no content."
                raise errors.BackboneError(problem, "give a positive --height_px and --width_px")
        if self.more_heights_px and self.pooling == "none":
            problem = f"maps of {len(self.sizes_px)} sizes ({self.height_px} and more_heights_px) do not go into one."
            raise errors.BackboneError(problem, "pool them, as with --pooling=moments, or take one size")
        if not self.weights:
            raise errors.BackboneError("weights is empty.", "choose imagenet, random, or the path of a weights file")

    def _check_preprocessing(self) -> None:
        """Checks that there is such an encoder, and that it can be fed so."""
        if onnx_files.is_onnx(self.name):
            onnx_files.preprocessing_text(self.name, self.mean, self.scale, self.preprocessing)
            if self.weights != encoders_weights.IMAGENET:
                problem = f"--backbone_weights={self.weights} with {self.name}: an ONNX file has its own weights."
                raise errors.BackboneError(problem, "leave --backbone_weights out")
            return
        if self.mean or self.scale:
            problem = f"--mean and --scale with {self.name}, which has a preprocessing of its own."
            raise errors.BackboneError(problem, "leave them out; they are for --backbone=onnx:PATH")
        if self.preprocessing == "raw" and registry.find(self.name).carries_preprocessing:
            problem = f"{self.name} has its preprocessing among its own layers, so it cannot be fed raw values."
            raise errors.BackboneError(problem, "use --preprocessing=own, or another encoder such as resnet50")
        registry.find(self.name)

    @property
    def sizes_px(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of all input sizes, in the order of the features."""
        others = (height_px for height_px in self.more_heights_px)
        return (
            (self.height_px, self.width_px),
            *((height_px, round(self.width_px * height_px / max(1, self.height_px))) for height_px in others),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {**dataclasses.asdict(self), "more_heights_px": list(self.more_heights_px)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "BackboneSpec":
        """Returns the spec with the fields of `to_dict`.

        Raises:
            BackboneError: If a field is unknown, or a value is out of range or unknown.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            problem = f"a backbone has no {', '.join(unknown)}."
            raise errors.BackboneError(problem, f"its fields are {', '.join(sorted(known))}")
        return cls(**fields)


@dataclasses.dataclass(frozen=True)
class JoinedSpec:
    """Several encoders of the same images, whose pooled features follow one another.

    Attributes:
        parts: At least two, with images of one size first.
        widths: Number of features of each.

    Raises:
        BackboneError: If they take images of several sizes.
    """

    parts: tuple[BackboneSpec, ...]
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        """Checks that one image, resized once, serves all."""
        sizes = [f"{part.height_px}x{part.width_px}" for part in self.parts]
        if len(set(sizes)) > 1:
            problem = f"encoders of images of {' and '.join(sizes)} px cannot be joined: images are resized once."
            step = "extract with one --height_px and --width_px; --more_heights_px may differ"
            raise errors.BackboneError(problem, step)

    @property
    def weights(self) -> str:
        """Their weights, for messages."""
        return " and ".join(part.weights for part in self.parts)


def spec_of(fields: dict[str, Any]) -> BackboneSpec | JoinedSpec:
    """Returns the spec of a cache's index, or of joined caches.

    Raises:
        BackboneError: As `BackboneSpec.from_dict`.
    """
    if "joined" in fields:
        parts = tuple(BackboneSpec.from_dict(part) for part in fields["joined"])
        return JoinedSpec(parts, tuple(fields["widths"]))
    return BackboneSpec.from_dict(fields)


@keras.saving.register_keras_serializable(package="geods")
class Backbone(keras.Model):
    """Encoder that stays in inference mode while it is frozen.

    uint8 `[b, h, w, 3]` -> features `[b, h', w', c]` or `[b, c]`. Keras puts frozen batch normalisation into inference
    mode by itself, but not dropout nor stochastic depth, which some encoders hold.
    """

    def call(self, inputs: tensors.Tensor, training: bool | None = None, mask: tensors.Tensor = None) -> tensors.Tensor:
        """Returns the features of images `[b, h, w, 3]`."""
        return super().call(inputs, training=bool(training) and self.trainable, mask=mask)


def names() -> list[str]:
    """Returns the names of all encoders, sorted."""
    return registry.names()


def build(spec: BackboneSpec | JoinedSpec) -> keras.Model:
    """Builds a frozen backbone, or several whose features follow one another.

    Set `trainable` on the result, or on some of its layers, to train it.

    Returns:
        keras.Model: uint8 images `[b, height_px, width_px, 3]` (RGB) -> features `[b, h', w', c]`, or `[b, d]` if
        pooled; in the compute dtype of Keras' policy, pooled features in float32.

    Raises:
        BackboneError: If the encoder, its layer or its weights do not fit.
        MissingFileError: If the weights file is not there.
    """
    if isinstance(spec, JoinedSpec):
        return _build_joined(spec)
    prepare, encoder = _of_onnx(spec) if onnx_files.is_onnx(spec.name) else _of_keras(spec)
    images = keras.Input((spec.height_px, spec.width_px, 3), dtype="uint8", name="image")
    others = [encoders_preprocessing.Resized(*size, name=f"resized_{size[0]}")(images) for size in spec.sizes_px[1:]]
    try:
        pooled = [_pool(encoder(prepare(levels)), spec, number) for number, levels in enumerate([images, *others])]
    except errors.GeodsError:
        raise
    except ValueError as error:
        problem = f"{spec.name} cannot take images of heights {[height for height, _ in spec.sizes_px]} px: {error}"
        raise errors.BackboneError(problem, "leave --more_heights_px out, or take another encoder") from error
    features = keras.layers.Concatenate(dtype="float32", name="sizes")(pooled) if others else pooled[0]
    backbone = Backbone(images, features, name="backbone")
    backbone.trainable = False
    return backbone


def _build_joined(spec: JoinedSpec) -> keras.Model:
    parts = [build(part) for part in spec.parts]
    images = keras.Input((spec.parts[0].height_px, spec.parts[0].width_px, 3), dtype="uint8", name="image")
    # Models of their own names: two layers of one name cannot be saved.
    named = [Backbone(part.input, part.output, name=f"backbone_{n}") for n, part in enumerate(parts)]
    features = keras.layers.Concatenate(dtype="float32", name="encoders")([part(images) for part in named])
    backbone = Backbone(images, features, name="backbone")
    backbone.trainable = False
    return backbone


def _of_keras(spec: BackboneSpec) -> tuple[keras.layers.Layer, keras.Model]:
    """Returns the preprocessing and the encoder, from images of 0 to 255 to features."""
    height_px, width_px = (None, None) if spec.more_heights_px else spec.sizes_px[0]
    encoder = encoders_weights.make_encoder(spec.name, spec.weights, height_px, width_px, spec.seed)
    if spec.layer:
        encoder = keras.Model(encoder.input, _layer(encoder, spec).output, name=encoder.name)
    return encoders_preprocessing.Preprocessing(spec.name, spec.preprocessing, name="preprocessing"), encoder


def _of_onnx(spec: BackboneSpec) -> tuple[keras.layers.Layer, onnx_encoder.OnnxEncoder]:
    """Returns the same of an ONNX file."""
    arithmetic = keras.mixed_precision.dtype_policy().compute_dtype
    encoder = onnx_encoder.OnnxEncoder(spec.layer, arithmetic, name="onnx")
    # Before Keras calls it: of an exception of ours in there, Keras makes another.
    encoder.read(onnx_files.path_of(spec.name), spec.sizes_px)
    mean, scale = onnx_files.normalisation(spec.mean, spec.scale, spec.preprocessing == "raw")
    variance = [value**2 for value in scale]
    return keras.layers.Normalization(mean=mean, variance=variance, dtype="float32", name="preprocessing"), encoder


def weights_sha256(model: keras.Model) -> str:
    """Returns the SHA-256 of a model's weights, of joined backbones with + between.

    Values, shapes and dtypes in order count, names do not.
    """
    if parts := [layer for layer in model.layers if isinstance(layer, Backbone)]:
        return "+".join(map(weights_sha256, parts))
    digest = hashlib.sha256()
    for weight in model.weights:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def layer_names(encoder: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns an encoder's layers by the names they have in a fresh process.

    Keras numbers layers that were given no name through the whole process, so the `conv2d_3` of a first InceptionV3
    is the `conv2d_97` of a second. Their order is the same, which gives the first numbers back.
    """
    found, unnamed = {}, defaultdict(list)
    for layer in encoder.layers:
        base, _, number = re.fullmatch(r"(.*?)(_(\d+))?", layer.name).groups()  # type: ignore[union-attr]
        if base.replace("_", "") == type(layer).__name__.lower():
            unnamed[base].append((int(number or 0), layer))
        else:
            found[layer.name] = layer
    for base, numbered in unnamed.items():
        for rank, (_, layer) in enumerate(sorted(numbered, key=lambda pair: pair[0])):
            found[f"{base}_{rank}" if rank else base] = layer
    return found


def _layer(encoder: keras.Model, spec: BackboneSpec) -> keras.layers.Layer:
    layers = layer_names(encoder)
    if spec.layer not in layers:
        close = difflib.get_close_matches(spec.layer, layers, n=4, cutoff=0.5) or list(layers)[-4:]
        problem = f"{spec.name} has no layer {spec.layer!r}."
        raise errors.BackboneError(problem, f"it has {len(layers)} layers, among them {', '.join(close)}")
    return layers[spec.layer]


def _pool(features: tensors.Tensor, spec: BackboneSpec, number: int) -> tensors.Tensor:
    """Pools features `[b, h', w', c]` to `[b, d]` as the spec says.

    `number` is the index of the input size, for the layer's name.
    """
    if spec.pooling == "none":
        return features
    if len(features.shape) != 4:
        problem = f"layer {spec.layer!r} of {spec.name} gives {tuple(features.shape[1:])}, which is not a feature map."
        raise errors.BackboneError(problem, "use --pooling=none, or another layer")
    pool = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "moments": second_order_pooling.SecondOrderPooling,
    }[spec.pooling]
    # float32, because a mean over hundreds of bfloat16 values would keep 8 bits of them.
    return pool(dtype="float32", name=f"pooling_{number}" if number else "pooling")(features)

"""Encoders from keras-hub: DINOv2 and the image towers of CLIP and SigLIP.

    --backbone=hub:dinov2_base --backbone_weights=imagenet --height_px=224 --width_px=224

After `hub:` comes a preset of keras-hub, which it downloads, or a folder that `save_to_preset` wrote. DINOv2 takes
images of any multiple of its patch, such as 196 x 392; CLIP and SigLIP take the squares they were trained on.
`imagenet` stands for the preset's own weights, `random` for its architecture alone. keras-hub is an extra, since it
brings tensorflow-text and fourteen more packages: pip install "geods[hub]".
"""

import functools
import importlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from geods import errors
from model import tensors

PREFIX = "hub:"
_INSTALL = 'pip install "geods[hub]"'
# Mean and standard deviation of RGB from 0 to 1 that each family was trained on: github.com/facebookresearch/dinov2,
# github.com/openai/CLIP (clip.py) and github.com/google-research/big_vision (siglip).
_LEVELS = {
    "DINOV2Backbone": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CLIPBackbone": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "SigLIPBackbone": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
_OF_PREFIX = {"dinov2": "DINOV2Backbone", "clip_": "CLIPBackbone", "siglip_": "SigLIPBackbone"}


@keras.saving.register_keras_serializable(package="geods")
class TokensToMap(keras.layers.Layer):
    """Arranges patch tokens as a feature map.

    `[b, n + rows columns, c]` -> `[b, rows, columns, c]`.

    The first n, of the class and of registers, are left out.

    Args:
        rows: Patches from top to bottom.
        columns: Patches from left to right.
    """

    def __init__(self, rows: int, columns: int, **options: object) -> None:
        super().__init__(**options)
        self.rows, self.columns = rows, columns

    def call(self, tokens: tensors.Tensor) -> tensors.Tensor:
        """Returns the map."""
        patches = tokens[:, -self.rows * self.columns :]
        return ops.reshape(patches, (-1, self.rows, self.columns, tokens.shape[-1]))

    def compute_output_shape(self, tokens_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns (b, rows, columns, c)."""
        return (tokens_shape[0], self.rows, self.columns, tokens_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "rows": self.rows, "columns": self.columns}


def library() -> Any:  # noqa: ANN401 - a module
    """Returns keras_hub, which registers its classes as it is imported.

    Raises:
        BackboneError: If it is not installed.
    """
    try:
        return importlib.import_module("keras_hub")
    except ImportError as error:
        raise errors.BackboneError("encoders of keras-hub need keras-hub, which is not installed.", _INSTALL) from error


def family_of(name: str) -> str:
    """Returns the class of a preset, by its name or its folder's config.json.

    Raises:
        BackboneError: If it is none of ours.
    """
    preset = name.removeprefix(PREFIX)
    config = pathlib.Path(preset, "config.json")
    if config.is_file():
        try:
            family = json.loads(config.read_text(encoding="utf-8"))["class_name"]
        except (ValueError, KeyError, TypeError) as error:
            raise errors.BackboneError(f"{config}: is not a preset of keras-hub ({error}).", "save it again") from error
    else:
        family = next((one for start, one in _OF_PREFIX.items() if preset.startswith(start)), "")
    if family not in _LEVELS:
        problem = f"{name!r}: is no DINOv2, CLIP or SigLIP preset, and no folder with one."
        raise errors.BackboneError(problem, "name one such as hub:dinov2_base or hub:clip_vit_base_patch16")
    return family


def preprocess_of(name: str) -> Callable[[tensors.Tensor], tensors.Tensor]:
    """Returns the normalisation of a preset's family, for images of 0 to 255."""
    mean, deviation = (255 * np.array(values, "float32") for values in _LEVELS[family_of(name)])
    return lambda images: (images - mean) / deviation


def constructor_of(name: str) -> Callable[..., keras.Model]:
    """Returns a function with the arguments of a keras.applications constructor."""
    return functools.partial(_construct, name)


def _construct(
    name: str, include_top: bool = False, weights: str | None = None, input_shape: tuple[int, int, int] = (224, 224, 3)
) -> keras.Model:
    """Builds the image tower of a preset.

    float images `[b, h, w, 3]` -> features `[b, h / patch, w / patch, c]`.

    Raises:
        BackboneError: If keras-hub lacks it, or the images have another size than it takes.
    """
    if include_top:
        raise errors.BackboneError(f"{name} has no classifier.", "leave include_top out")
    family, models = family_of(name), library().models
    # Only DINOv2 can stretch its position embeddings to another size, and its constructor to squares alone.
    is_dino = family == "DINOV2Backbone"
    resized = {"image_shape": input_shape} if is_dino and input_shape[0] == input_shape[1] else {}
    try:
        whole = models.Backbone.from_preset(name.removeprefix(PREFIX), load_weights=weights is not None, **resized)
    # keras-hub raises what its downloads, its readers and its constructors raise.
    except Exception as error:
        problem = f"{name} for images of {input_shape[0]}x{input_shape[1]} px: {errors.in_short(error)}"
        step = "give a multiple of its patch (--height_px, --width_px), and a preset that can be downloaded"
        raise errors.BackboneError(problem, step) from error
    if not is_dino:
        return _as_map(name, whole.vision_encoder, whole.vision_encoder.image_shape, input_shape)
    patch = whole.patch_size
    if input_shape[0] % patch or input_shape[1] % patch:
        height_px, width_px = (max(patch, round(side / patch) * patch) for side in input_shape[:2])
        problem = (
            f"{name} cuts images into patches of {patch} px, which {input_shape[0]}x{input_shape[1]} px do not fill."
        )
        raise errors.BackboneError(problem, f"give multiples, such as --height_px={height_px} --width_px={width_px}")
    return _as_map(name, whole if resized else _stretched(whole, input_shape), input_shape, input_shape)


def _stretched(tower: Any, input_shape: tuple[int, int, int]) -> Any:  # noqa: ANN401 - Keras models
    """Returns a DINOv2 for oblongs, which its layers take and its constructor not."""
    old = tower.embeddings
    embeddings = type(old).from_config(old.get_config() | {"image_shape": input_shape[:2]})
    images = keras.Input(input_shape, name="images")
    tokens = embeddings(images)
    stored: dict[str, Any] = {}
    old.save_own_variables(stored)
    # Stretches the position embeddings, as reading a file does.
    embeddings.load_own_variables(stored)
    embeddings.patch_embeddings.set_weights(old.patch_embeddings.get_weights())
    model = keras.Model({"images": images}, tower.layernorm(tower.encoder(tokens)[0]), name="dinov2")
    model.patch_size = tower.patch_size
    return model


def _as_map(
    name: str, tower: keras.Model, image_shape: tuple[int, int, int], input_shape: tuple[int, int, int]
) -> keras.Model:
    """Returns a tower as a model from images to a feature map."""
    takes = tuple(image_shape)
    if takes != input_shape:
        problem = f"{name} takes images of {takes[0]}x{takes[1]} px, not {input_shape[0]}x{input_shape[1]}."
        raise errors.BackboneError(problem, f"give --height_px={takes[0]} --width_px={takes[1]}")
    # SigLIP ends in a head that pools the tokens; those before it are the map.
    last = [layer for layer in tower.layers if layer.name.endswith("post_layer_norm")]
    tokens = last[0].output if "SigLIP" in type(tower).__name__ else tower.output
    images = next(iter(tower.input.values())) if isinstance(tower.input, dict) else tower.input
    sides = [side // tower.patch_size for side in input_shape[:2]]
    return keras.Model(images, TokensToMap(*sides, name="map")(tokens), name="tower")

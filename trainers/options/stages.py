"""Stages that extraction and training share: dataset, encoder, changes of images.

Every field is a flag.
"""

import dataclasses
from typing import Literal

from geods import errors
from geods.cli import flags
from model.encoders import onnx_files

EXACT_PIXELS_HELP = "Whether to decode photographs of four times the size or more in full, not at 1/2, 1/4 or 1/8."


@dataclasses.dataclass(frozen=True)
class DatasetOptions:
    """The dataset, and how many changed copies its feature cache has."""

    data_dir: str = flags.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = flags.option("blocked", "Config of the dataset: blocked, random or report.")
    variants: int = flags.option(
        0, "Changed copies of a cache's training images: extract makes them, train draws from them."
    )
    exact_pixels: bool = flags.option(False, EXACT_PIXELS_HELP)

    def __post_init__(self) -> None:
        """Checks the numbers."""
        flags.check_at_least(self, 0, ("variants",))


@dataclasses.dataclass(frozen=True)
class EncoderOptions:
    """The encoder, and the size of its images."""

    backbone: str = flags.option(
        "resnet50", "Encoder: any of keras.applications, such as mobilenet_v2; hub:PRESET; onnx:PATH of a file."
    )
    backbone_weights: str = flags.option("imagenet", "Encoder weights: imagenet, random, or a file's path.", path="in")
    layer: str = flags.option("", "Layer, or tensor of an ONNX file, to take; empty for the encoder's output.")
    pooling: Literal["none", "avg", "max", "moments"] = flags.option(
        "none", "How to pool the feature map; moments: second moments of its channels; none keeps the map."
    )
    unfreeze: str = flags.option(
        "", "Layer of the encoder, or last_block, after which it is trained with the head; empty for none."
    )
    height_px: int = flags.option(300, "Height the images are resized to, pixels.")
    width_px: int = flags.option(600, "Width the images are resized to, pixels.")
    more_heights_px: tuple[int, ...] = flags.option(
        (), "Further image heights to encode at, widths in proportion; their pooled features are concatenated."
    )
    preprocessing: Literal["own", "raw"] = flags.option("own", "Pixels, in the encoder's own range or raw 0 to 255.")
    mean: str = flags.option(
        "", "Of an ONNX encoder: mean of levels 0 to 255, one number or three, or clip, imagenet, inception or lite."
    )
    scale: str = flags.option("", "Of an ONNX encoder: divisor after --mean; a named --mean has its own.")

    def __post_init__(self) -> None:
        """Checks the numbers; the encoder checks the rest."""
        flags.check_at_least(self, 1, ("height_px", "width_px"))
        self._check_onnx()
        if self.unfreeze and self.pooling != "none":
            problem = f"--unfreeze with --pooling={self.pooling}: the blocks to train need the whole feature map."
            raise errors.OptionError(problem, "leave --pooling out; the head pools what comes out of them")

    def _check_onnx(self) -> None:
        """Checks that an ONNX file stays frozen and only ONNX is normalised by flags."""
        is_onnx = onnx_files.is_onnx(self.backbone)
        if self.backbone.endswith(".onnx") and not is_onnx:
            problem = f"--backbone={self.backbone}: is no name of an encoder."
            raise errors.OptionError(problem, f"write --backbone={onnx_files.PREFIX}{self.backbone}")
        if is_onnx and self.unfreeze:
            problem = f"--unfreeze with --backbone={self.backbone}: the library that runs ONNX gives no gradients."
            step = "leave --unfreeze out, or take an encoder of keras.applications or keras-hub"
            raise errors.OptionError(problem, step)
        if not is_onnx and (self.mean or self.scale):
            problem = f"--mean and --scale with --backbone={self.backbone}, which has a preprocessing of its own."
            raise errors.OptionError(problem, "leave them out; they are for --backbone=onnx:PATH")


@dataclasses.dataclass(frozen=True)
class ImageJitterOptions:
    """Random changes of images."""

    brightness: float = flags.option(
        0.0, "Greatest change of brightness, as a share of white; for training from images."
    )
    contrast: float = flags.option(0.0, "Greatest change of contrast, as a share; for training from images.")
    crop: float = flags.option(0.0, "Greatest share of each side cut off; for training from images.")

    def __post_init__(self) -> None:
        """Checks the numbers."""
        flags.check_at_least(self, 0, ("brightness", "contrast", "crop"))

    @property
    def changes_images(self) -> bool:
        """Whether any change is asked for."""
        return bool(self.brightness or self.contrast or self.crop)


VIEWS_HELP = "Whether to predict single images or all views of a location; auto: single with --config=report."
CHECKPOINT_HELP = "Model in the run's checkpoints/ (--schedule=chunked), such as chunk_003; empty for the last."


@dataclasses.dataclass(frozen=True)
class ResultOptions:
    """Seed of a result, and treatment of an earlier one."""

    seed: int = flags.option(0, "Seed of random weights, order and dropout.")
    overwrite: bool = flags.option(False, "Whether to replace a result that exists.")

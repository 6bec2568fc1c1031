"""Options of the encoder and of trainers.extract; every field is a flag."""

import dataclasses
from typing import Literal

from geods import errors
from geods.beam import jobs
from geods.cli import flags


def check_at_least(options: object, least: float, names: tuple[str, ...]) -> None:
    """Raises OptionError if one of the named options is below `least`."""
    for name in names:
        value = getattr(options, name)
        if not value >= least:
            raise errors.OptionError(f"--{name}={value}: must be at least {least:g}.", "give a larger number")


@dataclasses.dataclass(frozen=True)
class EncoderOptions:
    """Which dataset goes through which encoder."""

    data_dir: str = flags.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = flags.option("blocked", "Config of the dataset: blocked, random or report.")
    backbone: str = flags.option("resnet50", "Encoder: any of keras.applications, such as mobilenet_v2.")
    backbone_weights: str = flags.option("imagenet", "imagenet, random, or the path of a weights file.", path="in")
    layer: str = flags.option("", "Layer of the encoder whose output is used; empty for the encoder's output.")
    pooling: Literal["none", "avg", "max", "moments"] = flags.option(
        "none", "How to pool the feature map; moments: how its channels vary together; none keeps it."
    )
    unfreeze: str = flags.option(
        "", "last_block, or a layer: the encoder is cut there, and what is behind it is trained with the head."
    )
    height_px: int = flags.option(300, "Height the images are resized to.")
    width_px: int = flags.option(600, "Width the images are resized to.")
    more_heights_px: tuple[int, ...] = flags.option(
        (), "Heights in which the encoder looks once more, width in proportion; its pooled features are joined."
    )
    preprocessing: Literal["own", "raw"] = flags.option("own", "The encoder's own, or raw 0 to 255 as in the report.")
    variants: int = flags.option(
        0, "Copies of a cache with changed images: extract makes them, training draws from them."
    )
    brightness: float = flags.option(
        0.0, "Greatest change of brightness, as a share of white; for training from images."
    )
    contrast: float = flags.option(0.0, "Greatest change of contrast, as a share; for training from images.")
    crop: float = flags.option(0.0, "Greatest share of each side cut off; for training from images.")
    batch_size: int = flags.option(32, "Images or examples the network sees at once.")
    seed: int = flags.option(0, "Repeats random weights, order and dropout.")
    overwrite: bool = flags.option(False, "Whether to start anew where there is a result already.")

    def __post_init__(self) -> None:
        """Checks the numbers; the encoder checks the rest."""
        check_at_least(self, 1, ("batch_size", "height_px", "width_px"))
        check_at_least(self, 0, ("variants", "brightness", "contrast", "crop"))
        if self.unfreeze and self.pooling != "none":
            problem = f"--unfreeze with --pooling={self.pooling}: the blocks to train need the whole feature map."
            raise errors.OptionError(problem, "leave --pooling out; the head pools what comes out of them")


@dataclasses.dataclass(frozen=True)
class ExtractOptions(EncoderOptions):
    """What to extract, from what, to where."""

    splits: tuple[str, ...] = flags.option(("train", "validation", "test"), "Splits to extract.")
    cache_dir: str = flags.option("cache", "Folder to write to; each split gets a folder in it.", path="out")
    # MobileNetV2 at 300x600 takes 3.7 GB with 32, 2.4 with 16, 1.6 with 8, and on two cores the same time with each.
    batch_size: int = flags.option(16, "Images the encoder sees at once; more for a GPU, fewer for less memory.")
    cache_dtype: Literal["float32", "float16", "bfloat16"] = flags.option("float16", "Type the features are stored in.")
    runtime: Literal["tensorflow", "openvino"] = flags.option(
        "tensorflow", "What runs the encoder; OpenVINO is an extra."
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "int8"] = flags.option(
        "float32", "Policy of the encoder; int8, by OpenVINO alone, is calibrated on images of the dataset first."
    )
    decode: Literal["auto", "tensorflow", "simplejpeg", "gpu"] = flags.option(
        "auto", "What decodes the images: auto takes the first that is there of gpu, simplejpeg and tensorflow."
    )
    block_rows: int = flags.option(1024, "Images a block; a kill costs at most one block.")
    beam_pipeline_options: str = flags.option(
        "", "Options of an Apache Beam runner whose workers extract, as runner=DirectRunner,direct_num_workers=4."
    )

    def __post_init__(self) -> None:
        """Checks what no other module checks."""
        super().__post_init__()
        check_at_least(self, 1, ("block_rows",))
        if self.beam_pipeline_options:
            jobs.flags_of(self.beam_pipeline_options)
        if bool(self.variants) != bool(self.brightness or self.contrast or self.crop):
            problem = f"--variants={self.variants} with no change of the images, or a change without --variants."
            raise errors.OptionError(problem, "give both, such as --variants=3 --crop=0.25 --brightness=0.2")
        if self.precision == "int8" and self.runtime != "openvino":
            problem = f"--precision=int8 with --runtime={self.runtime}: only OpenVINO computes in 8 bits."
            raise errors.OptionError(problem, "add --runtime=openvino")
        if not self.splits:
            raise errors.OptionError("--splits is empty.", "name at least one, such as --splits=train,validation,test")

"""Options of trainers.extract by stage; every field is a flag."""

import dataclasses
from typing import Literal

from geods import errors
from geods.beam import jobs
from geods.cli import flags
from model.encoders import onnx_files
from trainers.options import stages


@dataclasses.dataclass(frozen=True)
class RuntimeOptions:
    """Runtime of the encoder."""

    # MobileNetV2 at 300x600 takes 3.7 GB with 32, 2.4 with 16, 1.6 with 8, and on two cores the same time with each.
    batch_size: int = flags.option(16, "Images a batch of the encoder; more for a GPU, fewer for less memory.")
    runtime: Literal["auto", "tensorflow", "openvino"] = flags.option(
        "auto",
        "Library that runs the encoder; auto: the cache's, else OpenVINO if installed and no GPU.",
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16", "int8"] = flags.option(
        "auto",
        "Precision of the encoder; auto: the cache's, else float32, or bfloat16 where OpenVINO is faster in it.",
    )
    decode: Literal["auto", "tensorflow", "simplejpeg", "gpu"] = flags.option(
        "auto", "JPEG decoder; auto takes the first that is available of gpu, simplejpeg and tensorflow."
    )

    def __post_init__(self) -> None:
        """Checks the batch, and that the runtime computes in the precision."""
        flags.check_at_least(self, 1, ("batch_size",))
        if self.precision == "int8" and self.runtime == "tensorflow":
            problem = f"--precision=int8 with --runtime={self.runtime}: only OpenVINO computes in 8 bits."
            raise errors.OptionError(problem, "add --runtime=openvino")


@dataclasses.dataclass(frozen=True)
class CacheOptions(stages.ResultOptions):
    """The feature cache to write, and the workers that write its blocks."""

    splits: tuple[str, ...] = flags.option(("train", "validation", "test"), "Splits to extract.")
    cache_dir: str = flags.option("cache", "Folder to write to; each split gets a folder in it.", path="out")
    features: str = flags.option("", "Name of the features, which are written under it in --cache_dir.")
    cache_dtype: Literal["float32", "float16", "bfloat16"] = flags.option("float16", "Type the features are stored in.")
    block_rows: int = flags.option(1024, "Images a block; a kill costs at most one block.")
    beam_pipeline_options: str = flags.option(
        "", "Options of the Apache Beam runner to extract on, such as runner=DirectRunner,direct_num_workers=4."
    )

    def __post_init__(self) -> None:
        """Checks the blocks, the splits and Beam's options."""
        flags.check_at_least(self, 1, ("block_rows",))
        if self.beam_pipeline_options:
            jobs.flags_of(self.beam_pipeline_options)
        if not self.splits:
            raise errors.OptionError("--splits is empty.", "name at least one, such as --splits=train,validation,test")


# Of a JPEG.
BEST_QUALITY = 100


@dataclasses.dataclass(frozen=True)
class CopyOptions(stages.ImageJitterOptions):
    """Random changes of images in the copies of a cache."""

    coarsen: float = flags.option(
        0.0, "Greatest share of the resolution lost: copies are shrunk and enlarged again, as smaller photographs are."
    )
    jpeg_quality: int = flags.option(
        BEST_QUALITY, "Least quality of a random JPEG compression of copies; 100 for none."
    )

    def __post_init__(self) -> None:
        """Checks the numbers."""
        super().__post_init__()
        if not 0 <= self.coarsen < 1:
            raise errors.OptionError(f"--coarsen={self.coarsen}: must be at least 0 and below 1.", "give such as 0.5")
        if not 1 <= self.jpeg_quality <= BEST_QUALITY:
            raise errors.OptionError(f"--jpeg_quality={self.jpeg_quality}: must be 1 to 100.", "give such as 50")

    @property
    def changes_images(self) -> bool:
        """Whether any change is asked for."""
        return super().changes_images or self.changes_detail

    @property
    def changes_detail(self) -> bool:
        """Whether copies are made coarser or compressed again."""
        return bool(self.coarsen) or self.jpeg_quality < BEST_QUALITY


@dataclasses.dataclass(frozen=True)
class ExtractOptions:
    """Options of an extraction."""

    data: stages.DatasetOptions = dataclasses.field(default_factory=stages.DatasetOptions)
    encoder: stages.EncoderOptions = dataclasses.field(default_factory=stages.EncoderOptions)
    jitter: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    runtime: RuntimeOptions = dataclasses.field(default_factory=RuntimeOptions)
    cache: CacheOptions = dataclasses.field(default_factory=CacheOptions)

    def __post_init__(self) -> None:
        """Checks that changed copies and changes of the images come together."""
        if bool(self.data.variants) != self.jitter.changes_images:
            problem = f"--variants={self.data.variants} with no change of the images, or a change without --variants."
            raise errors.OptionError(problem, "give both, such as --variants=3 --crop=0.25 --brightness=0.2")
        if onnx_files.is_onnx(self.encoder.backbone) and self.runtime.precision == "int8":
            problem = f"--precision=int8 with --backbone={self.encoder.backbone}: an ONNX file has its own precision."
            raise errors.OptionError(problem, "name a file that is quantized, or leave --precision out")

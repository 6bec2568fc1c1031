"""The options of extract, train and evaluate: every field is a flag of the same name."""

import dataclasses
from typing import Literal

from geods import beam_jobs, cli, errors
from trainers import conflicts

# These look at every training place once instead of being trained.
FITTED_HEADS = ("neighbours", "kernel")


def require_at_least(options: object, least: float, names: tuple[str, ...]) -> None:
    """Raises OptionError if one of the named options is below `least`."""
    for name in names:
        value = getattr(options, name)
        if not value >= least:
            raise errors.OptionError(f"--{name}={value}: must be at least {least:g}.", "give a larger number")


@dataclasses.dataclass(frozen=True)
class EncoderOptions:
    """Which dataset goes through which encoder."""

    data_dir: str = cli.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = cli.option("blocked", "Config of the dataset: blocked, random or report.")
    backbone: str = cli.option("resnet50", "Encoder: any of keras.applications, such as mobilenet_v2.")
    backbone_weights: str = cli.option("imagenet", "imagenet, random, or the path of a weights file.", path="in")
    layer: str = cli.option("", "Layer of the encoder whose output is used; empty for the encoder's output.")
    pooling: Literal["none", "avg", "max", "moments"] = cli.option(
        "none", "How to pool the feature map; moments: how its channels vary together; none keeps it."
    )
    unfreeze: str = cli.option(
        "", "last_block, or a layer: the encoder is cut there, and what is behind it is trained with the head."
    )
    height_px: int = cli.option(300, "Height the images are resized to.")
    width_px: int = cli.option(600, "Width the images are resized to.")
    more_heights_px: tuple[int, ...] = cli.option(
        (), "Heights in which the encoder looks once more, width in proportion; its pooled features are joined."
    )
    preprocessing: Literal["own", "raw"] = cli.option("own", "The encoder's own, or raw 0 to 255 as in the report.")
    variants: int = cli.option(
        0, "Copies of a cache with changed images: extract makes them, training draws from them."
    )
    brightness: float = cli.option(0.0, "Greatest change of brightness, as a share of white; for training from images.")
    contrast: float = cli.option(0.0, "Greatest change of contrast, as a share; for training from images.")
    crop: float = cli.option(0.0, "Greatest share of each side cut off; for training from images.")
    batch_size: int = cli.option(32, "Images or examples the network sees at once.")
    seed: int = cli.option(0, "Repeats random weights, order and dropout.")
    overwrite: bool = cli.option(False, "Whether to start anew where there is a result already.")

    def __post_init__(self) -> None:
        """Checks the numbers; the encoder checks the rest."""
        require_at_least(self, 1, ("batch_size", "height_px", "width_px"))
        require_at_least(self, 0, ("variants", "brightness", "contrast", "crop"))
        if self.unfreeze and self.pooling != "none":
            problem = f"--unfreeze with --pooling={self.pooling}: the blocks to train need the whole feature map."
            raise errors.OptionError(problem, "leave --pooling out; the head pools what comes out of them")


@dataclasses.dataclass(frozen=True)
class ExtractOptions(EncoderOptions):
    """What to extract, from what, to where."""

    splits: tuple[str, ...] = cli.option(("train", "validation", "test"), "Splits to extract.")
    cache_dir: str = cli.option("cache", "Folder to write to; each split gets a folder in it.", path="out")
    # MobileNetV2 at 300x600 takes 3.7 GB with 32, 2.4 with 16, 1.6 with 8, and on two cores the same time with each.
    batch_size: int = cli.option(16, "Images the encoder sees at once; more for a GPU, fewer for less memory.")
    cache_dtype: Literal["float32", "float16", "bfloat16"] = cli.option("float16", "Type the features are stored in.")
    runtime: Literal["tensorflow", "openvino"] = cli.option(
        "tensorflow", "What runs the encoder; OpenVINO is an extra."
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "int8"] = cli.option(
        "float32", "Policy of the encoder; int8, by OpenVINO alone, is calibrated on images of the dataset first."
    )
    decode: Literal["auto", "tensorflow", "simplejpeg", "gpu"] = cli.option(
        "auto", "What decodes the images: auto takes the first that is there of gpu, simplejpeg and tensorflow."
    )
    block_rows: int = cli.option(1024, "Images a block; a kill costs at most one block.")
    beam_pipeline_options: str = cli.option(
        "", "Options of an Apache Beam runner whose workers extract, as runner=DirectRunner,direct_num_workers=4."
    )

    def __post_init__(self) -> None:
        """Checks what no other module checks."""
        super().__post_init__()
        require_at_least(self, 1, ("block_rows",))
        if self.beam_pipeline_options:
            beam_jobs.flags_of(self.beam_pipeline_options)
        if bool(self.variants) != bool(self.brightness or self.contrast or self.crop):
            problem = f"--variants={self.variants} with no change of the images, or a change without --variants."
            raise errors.OptionError(problem, "give both, such as --variants=3 --crop=0.25 --brightness=0.2")
        if self.precision == "int8" and self.runtime != "openvino":
            problem = f"--precision=int8 with --runtime={self.runtime}: only OpenVINO computes in 8 bits."
            raise errors.OptionError(problem, "add --runtime=openvino")
        if not self.splits:
            raise errors.OptionError("--splits is empty.", "name at least one, such as --splits=train,validation,test")


@dataclasses.dataclass(frozen=True)
class TrainOptions(EncoderOptions):
    """What to train, on what, how, to where. The flags of the encoder count only without --cache_dir."""

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = cli.option("float32", "Policy of the network.")
    imagery: str = cli.option("", "Imagery tree to train on instead of a dataset; views are encoded once.", path="in")
    follow: bool = cli.option(False, "Whether a scraper is filling --imagery: train on what comes until it is done.")
    follow_min_locations: int = cli.option(100, "Training locations that must be there before the first epoch.")
    follow_poll_s: float = cli.option(5.0, "Seconds between two looks at what has come, at least.")
    follow_timeout_s: float = cli.option(3600.0, "Seconds to wait for a scraper that has stopped or not yet begun.")
    memory_gb: float = cli.option(4.0, "Memory that the features of --imagery may take, GB.")

    run_dir: str = cli.option("runs/run", "Folder to write to.", path="out")
    train_split: str = cli.option("train", "Split to train on.")
    validation_split: str = cli.option("validation", "Split that chooses the epoch; empty to train all epochs unseen.")
    cache_dir: str = cli.option("", "Folder that trainers.extract wrote; empty to train from images.", path="in")
    data_service: str = cli.option("", "host:port of a tf.data service that decodes images; empty to decode here.")
    data_service_wait_s: int = cli.option(300, "Seconds without a step after which a tf.data service counts as gone.")
    partition: str = cli.option("", "Partition file to label with instead of the dataset's own.", path="in")
    cells: Literal["partition", "quadtree"] = cli.option(
        "partition", "Cells of the partition, or of a quadtree over the training places (PlaNet)."
    )
    most_per_cell: int = cli.option(50, "Training places a box of --cells=quadtree may hold.")
    least_per_cell: int = cli.option(5, "Training places a cell of --cells=quadtree holds, or it joins a neighbour.")
    cell_deg: float = cli.option(0.0, "Side of finer cells to divide the partition's area into; 0 takes it as it is.")
    folds: int = cli.option(0, "Cross-validation: into how many parts to divide all splits of the cache; 0 for none.")
    fold: int = cli.option(0, "Which of --folds is held out, from 0.")
    train_backbone: bool = cli.option(False, "Whether to train the encoder too; only from images.")
    unfreeze_rate: float = cli.option(0.1, "Learning rate of the unfrozen blocks, as a factor of --learning_rate.")
    head: Literal[
        "report_75k", "report_1m", "report_6m", "report_13m", "report_lstm", "linear", "mlp", "neighbours", "kernel"
    ] = cli.option("mlp", "What stands on the features.")
    fusion: Literal["mean", "mean_log", "attention", "lstm"] = cli.option(
        "mean", "How views become one answer: mean of (log-)probabilities, weighted by attention, or read by an LSTM."
    )
    neighbours: int = cli.option(20, "How many training places --head=neighbours looks at.")
    sigma_km: float = cli.option(200.0, "Width of the kernel round each of them.")
    sharpness: float = cli.option(10.0, "How much more a more similar one counts, 0 for not at all.")
    most_places: int = cli.option(
        10_000, "Training places --head=kernel remembers, at most: a minute and 5 GB for that, growing as their square."
    )
    nearness_km: float = cli.option(
        0.0, "What --head=kernel counts as near, which makes near guesses worth more; 0 counts distance alone."
    )
    dropout: float | None = cli.option(
        None, "Share of values dropped before the last layer; the head's own if not given."
    )
    loss: Literal["one_hot", "label_smoothing", "haversine"] = cli.option("haversine", "Targets of the cross-entropy.")
    smoothing: float = cli.option(0.1, "Share that --loss=label_smoothing spreads.")
    scale_km: float = cli.option(150.0, "Distance over which a target of --loss=haversine falls to 1/e.")
    decode: Literal["argmax", "least_distance", "highest_score"] = cli.option(
        "least_distance", "How the point is chosen from the probabilities."
    )
    lattice_deg: float = cli.option(0.0, "Step of a lattice of further points to choose from; 0 for centroids alone.")
    temperature: float = cli.option(1.0, "Divides log-probabilities before a point is chosen by expectation.")
    members: int = cli.option(1, "Networks trained from different seeds, whose log-probabilities are averaged.")
    train_views: Literal["single", "all"] = cli.option("all", "Whether a training example is one view or a location.")
    feature_dropout: float = cli.option(0.0, "Share of channels of the features zeroed in training.")
    view_mixup: float = cli.option(0.0, "Greatest share of another view of the place blended into one in training.")
    view_dropout: float = cli.option(0.0, "Share of a place's views hidden in training; one always stays.")
    schedule: Literal["plain", "chunked"] = cli.option(
        "plain", "plain passes, or the report's: all epochs on one chunk of examples, then on the next."
    )
    chunk_examples: int = cli.option(1000, "Examples a chunk of --schedule=chunked.")
    shuffle_locations: int = cli.option(4096, "Locations shuffled at once, whose images wait in memory; from images.")
    epochs: int = cli.option(25, "Passes over the training split, at most; over each chunk if chunked.")
    patience: int = cli.option(8, "Epochs without a better validation distance before training stops.")
    learning_rate: float = cli.option(1e-3, "Of Adam, at the start.")
    lr_schedule: Literal["constant", "cosine"] = cli.option("cosine", "How the learning rate falls over all epochs.")
    weight_decay: float = cli.option(1e-3, "Of AdamW; 0 is plain Adam.")
    devices: int = cli.option(0, "GPUs, or CPU cores if there is none, that share every batch; 0 or 1 for one.")
    deterministic: bool = cli.option(False, "Whether the same seed gives the same weights to the last bit; slower.")

    def __post_init__(self) -> None:
        """Checks what no other module checks."""
        super().__post_init__()
        require_at_least(self, 1, ("epochs", "patience", "chunk_examples", "members", "shuffle_locations"))
        require_at_least(self, 2, ("most_places",))
        require_at_least(self, 0, ("weight_decay", "cell_deg", "lattice_deg", "devices", "nearness_km"))
        for name, usual in (("learning_rate", "1e-3"), ("unfreeze_rate", "0.1"), ("temperature", "1")):
            if not 0 < getattr(self, name) < float("inf"):
                problem = f"--{name}={getattr(self, name)}: must be above 0."
                raise errors.OptionError(problem, f"{usual} is the default")
        if not self.run_dir:
            raise errors.OptionError("--run_dir is empty.", "name a folder, such as --run_dir=runs/mlp")
        require_at_least(self, 1, ("follow_min_locations", "data_service_wait_s"))
        require_at_least(self, 0.05, ("follow_poll_s",))
        require_at_least(self, 0, ("follow_timeout_s",))
        if not self.memory_gb > 0:
            raise errors.OptionError(f"--memory_gb={self.memory_gb}: must be above 0.", "4 is the default")
        conflicts.refuse(self, self.head in FITTED_HEADS)


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Which run to evaluate, on what."""

    run_dir: str = cli.option("runs/run", "Folder that trainers.train wrote.", path="out", unless="out")
    split: str = cli.option("test", "Split of the run's dataset.")
    imagery: str = cli.option("", "Imagery tree to evaluate on instead of a split.", path="in")
    out: str = cli.option("", "Folder to write to; the run folder if empty, but not with --imagery.", path="out")
    from_images: bool = cli.option(False, "Whether to run the encoder although its features are cached.")
    batch_size: int = cli.option(32, "Locations the network sees at once.")
    seed: int = cli.option(0, "Of the random guess and the bootstrap.")

    def __post_init__(self) -> None:
        """Checks that the figures of a tree do not replace those of the test split."""
        require_at_least(self, 1, ("batch_size",))
        if self.imagery and not self.out:
            raise errors.OptionError(
                "--imagery without --out: its figures would replace those of the run's test split.",
                f"add a folder, such as --out={self.run_dir}/on_imagery",
            )

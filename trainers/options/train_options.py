"""Options of trainers.train by stage, and the conflicts between stages.

Every field is a flag.
"""

import dataclasses
import os
from typing import Literal

from geods import errors
from geods.cli import flags
from model.encoders import onnx_files
from trainers.options import stages


@dataclasses.dataclass(frozen=True)
class DataOptions(stages.DatasetOptions):
    """Training data, of a feature cache or of the images, and its batches."""

    cache_dir: tuple[str, ...] = flags.option(
        (), "Folder that trainers.extract wrote, or several, whose features are joined; empty for images.", path="in"
    )
    features: str = flags.option(
        "", "Name in trainers/recipes/features; a cache of other features is refused. Empty takes any."
    )
    train_split: str = flags.option("train", "Split to train on.")
    validation_split: str = flags.option("validation", "Split that chooses the best epoch; empty to keep the last.")
    folds: int = flags.option(0, "Cross-validation: parts to divide all splits of the cache into; 0 for none.")
    fold: int = flags.option(0, "Fold of --folds that is held out, counted from 0.")
    train_share: float = flags.option(1.0, "Share of the cache's training locations to train on.")
    train_draw: int = flags.option(0, "Draw of --train_share; in one draw a smaller share is part of a larger.")
    train_views: Literal["single", "all"] = flags.option("all", "Whether a training example is one view or a location.")
    views: Literal["auto", "single", "all"] = flags.option("auto", stages.VIEWS_HELP)
    places_per_cell: int = flags.option(0, "Most training locations a cell to take from the cache; 0 for all.")
    views_per_place: int = flags.option(0, "Views to take of each location of the cache, also in tests; 0 for all.")
    batch_size: int = flags.option(32, "Examples a batch.")
    shuffle_locations: int = flags.option(4096, "Locations in the shuffle buffer, when training from images.")
    data_service: str = flags.option("", "host:port of a tf.data service that decodes images; empty to decode here.")
    data_service_wait_s: int = flags.option(300, "Seconds without a step before --data_service counts as lost.")

    def __post_init__(self) -> None:
        """Checks the numbers, and that folds and copies have a cache to be taken from."""
        given = self.cache_dir
        folders = str(given).split(",") if isinstance(given, str | os.PathLike) else map(str, given)
        object.__setattr__(self, "cache_dir", tuple(filter(None, folders)))
        super().__post_init__()
        flags.check_at_least(self, 1, ("batch_size", "shuffle_locations", "data_service_wait_s"))
        flags.check_at_least(self, 0, ("places_per_cell", "views_per_place"))
        fewer = [name for name in ("places_per_cell", "views_per_place") if getattr(self, name)]
        if fewer and not self.cache_dir:
            problem = f"--{fewer[0]} without --cache_dir: fewer are taken of the rows of a cache."
            raise errors.OptionError(problem, "run trainers.extract first, and name its --cache_dir")
        if not 0 < self.train_share <= 1 or (self.train_share < 1 and not self.cache_dir):
            problem = f"--train_share={self.train_share:g}{'' if self.cache_dir else ' without --cache_dir'}."
            raise errors.OptionError(problem, "give a share above 0 and at most 1, of the locations of a --cache_dir")
        if self.variants and not self.cache_dir:
            problem = f"--variants={self.variants} without --cache_dir: only caches have copies."
            step = "leave it out; --crop, --brightness and --contrast change images as they come"
            raise errors.OptionError(problem, step)
        if self.folds == 0 and self.fold == 0:
            return
        if self.folds < 2 or not 0 <= self.fold < self.folds:
            problem = f"--folds={self.folds} --fold={self.fold}: there is no such fold."
            raise errors.OptionError(problem, "give at least 2 folds, and one of them counted from 0")
        if not self.cache_dir:
            problem = "--folds without --cache_dir: folds are made of the rows of a cache."
            raise errors.OptionError(problem, "run trainers.extract first, and name its --cache_dir")

    def is_single(self, views: str) -> bool:
        """Returns whether predictions are of single images if `views` is asked for."""
        views = self.views if views == "auto" else views
        return views == "single" or (views == "auto" and self.config == "report")


@dataclasses.dataclass(frozen=True)
class CellOptions:
    """The cells to choose from."""

    partition: str = flags.option("", "Partition file to label with instead of the dataset's own.", path="in")
    cells: Literal["partition", "quadtree"] = flags.option(
        "partition", "Cells of the partition, or of a quadtree over training locations (PlaNet)."
    )
    most_per_cell: int = flags.option(50, "Most training locations in a box of --cells=quadtree.")
    least_per_cell: int = flags.option(5, "Boxes of --cells=quadtree with fewer locations join a neighbour.")
    cell_deg: float = flags.option(0.0, "Side of finer cells, degrees; 0 takes those of the partition.")
    nearest_km: float | None = flags.option(
        None, "Locations outside all cells get the nearest one within so many km; as the partition says if not given."
    )

    def __post_init__(self) -> None:
        """Checks the side of the cells and the reach of their labels."""
        flags.check_at_least(self, 0, ("cell_deg",))
        if self.nearest_km is not None:
            flags.check_at_least(self, 0, ("nearest_km",))


@dataclasses.dataclass(frozen=True)
class HeadOptions:
    """The head on the features, and the decoder of its probabilities."""

    head: Literal[
        "report_75k",
        "report_1m",
        "report_6m",
        "report_13m",
        "report_lstm",
        "linear",
        "mlp",
        "neighbours",
        "centroids",
        "kernel",
    ] = flags.option("mlp", "Head on the features.")
    fusion: Literal["mean", "mean_log", "attention", "lstm"] = flags.option(
        "mean", "How views are combined: mean of probabilities or of their logarithms, attention, LSTM."
    )
    dropout: float | None = flags.option(
        None, "Share of values dropped before the last layer; the head's own if not given."
    )
    neighbours: int = flags.option(20, "Nearest training locations in --head=neighbours.")
    sigma_km: float = flags.option(200.0, "Width of the kernel of --head=neighbours, km.")
    sharpness: float = flags.option(
        10.0, "Factor of similarities in the softmax of --head=neighbours, of distances in --head=centroids."
    )
    most_places: int = flags.option(
        10_000,
        "Most training locations --head=kernel solves exactly, a minute and 5 GB; more are fitted on 5,000 kernels.",
    )
    nearness_km: float = flags.option(
        0.0, "Distance in km that --head=kernel counts as near, to weight near guesses; 0 for none."
    )
    decode: Literal["argmax", "least_distance", "highest_score"] = flags.option(
        "least_distance", "How the point is chosen from the probabilities."
    )
    lattice_deg: float = flags.option(0.0, "Step of a lattice of further points, degrees; 0 for centroids alone.")
    temperature: float = flags.option(1.0, "Divisor of the log-probabilities before a point is chosen by expectation.")

    def __post_init__(self) -> None:
        """Checks the numbers."""
        flags.check_at_least(self, 2, ("most_places",))
        flags.check_at_least(self, 0, ("lattice_deg", "nearness_km"))
        _check_positive(self, "temperature", "1")

    @property
    def is_fitted(self) -> bool:
        """Whether the head is fitted in one pass instead of trained by steps."""
        return self.head in ("neighbours", "centroids", "kernel")


@dataclasses.dataclass(frozen=True)
class AugmentationOptions(stages.ImageJitterOptions):
    """Random changes of images and features in training."""

    feature_dropout: float = flags.option(0.0, "Share of the feature channels zeroed in training.")
    view_mixup: float = flags.option(0.0, "Greatest share of another view blended into a view in training.")
    view_dropout: float = flags.option(0.0, "Share of a location's views hidden in training; one always stays.")

    @property
    def changes_features(self) -> bool:
        """Whether features are changed or views hidden."""
        return bool(self.feature_dropout or self.view_mixup or self.view_dropout)


@dataclasses.dataclass(frozen=True)
class OptimizerOptions:
    """The loss, the learning rates and their schedule."""

    loss: Literal["one_hot", "label_smoothing", "haversine"] = flags.option(
        "haversine", "Targets of the cross-entropy."
    )
    smoothing: float = flags.option(0.1, "Share that --loss=label_smoothing spreads over all cells.")
    scale_km: float = flags.option(150.0, "Distance at which a target of --loss=haversine falls to 1/e, km.")
    learning_rate: float = flags.option(1e-3, "Learning rate of Adam at the start.")
    lr_schedule: Literal["constant", "cosine"] = flags.option("cosine", "Course of the learning rate over all epochs.")
    weight_decay: float = flags.option(1e-3, "Weight decay of AdamW; 0 for Adam.")
    train_backbone: bool = flags.option(False, "Whether to train the whole encoder too; without --cache_dir.")
    unfreeze_rate: float = flags.option(0.1, "Learning rate of the unfrozen blocks, as a factor of --learning_rate.")
    epochs: int = flags.option(25, "Most passes over the training split, or over each chunk.")
    patience: int = flags.option(8, "Epochs without a better validation error before training stops.")
    schedule: Literal["plain", "chunked"] = flags.option(
        "plain", "plain passes, or the report's: all epochs on one chunk of examples, then on the next."
    )
    chunk_examples: int = flags.option(1000, "Examples in a chunk of --schedule=chunked.")
    steps_per_epoch: int = flags.option(0, "Batches in an epoch, of a chunk if chunked; 0 for all.")

    def __post_init__(self) -> None:
        """Checks the numbers."""
        flags.check_at_least(self, 1, ("epochs", "patience", "chunk_examples"))
        flags.check_at_least(self, 0, ("weight_decay", "steps_per_epoch"))
        _check_positive(self, "learning_rate", "1e-3")
        _check_positive(self, "unfreeze_rate", "0.1")


@dataclasses.dataclass(frozen=True)
class StreamingOptions:
    """Training on an imagery tree, also while a scraper fills it."""

    imagery: str = flags.option("", "Imagery tree to train on instead of a dataset; views are encoded once.", path="in")
    follow: bool = flags.option(False, "Whether a scraper fills --imagery: train until it has finished.")
    follow_min_locations: int = flags.option(100, "Training locations to wait for before the first epoch.")
    follow_poll_s: float = flags.option(5.0, "Least seconds between two checks for new images.")
    follow_timeout_s: float = flags.option(3600.0, "Seconds to wait for a scraper that stopped or did not start.")
    memory_gb: float = flags.option(4.0, "Most memory for the features of --imagery, GB.")

    def __post_init__(self) -> None:
        """Checks the numbers, and that there is a tree to follow."""
        flags.check_at_least(self, 1, ("follow_min_locations",))
        flags.check_at_least(self, 0.05, ("follow_poll_s",))
        flags.check_at_least(self, 0, ("follow_timeout_s",))
        if not self.memory_gb > 0:
            raise errors.OptionError(f"--memory_gb={self.memory_gb}: must be above 0.", "4 is the default")
        if self.follow and not self.imagery:
            raise errors.OptionError("--follow without --imagery.", "name the tree a scraper fills: --imagery=TREE")


@dataclasses.dataclass(frozen=True)
class RunOptions(stages.ResultOptions):
    """The run folder, and settings of the whole process."""

    run_dir: str = flags.option("runs/run", "Run folder to write.", path="out")
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = flags.option(
        "float32", "Keras policy to train in."
    )
    members: int = flags.option(1, "Networks trained from different seeds, whose log-probabilities are averaged.")
    devices: int = flags.option(0, "GPUs, or CPU cores if there is none, that share every batch; 0 or 1 for one.")
    deterministic: bool = flags.option(False, "Whether the same seed gives the same weights, to the last bit; slower.")
    serving_graph: bool = flags.option(
        True, "Whether to write the network as an OpenVINO graph too, by which tools.predict needs no TensorFlow."
    )

    def __post_init__(self) -> None:
        """Checks the folder and the numbers."""
        flags.check_at_least(self, 1, ("members",))
        flags.check_at_least(self, 0, ("devices",))
        if not self.run_dir:
            raise errors.OptionError("--run_dir is empty.", "name a folder, such as --run_dir=runs/mlp")


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Options of a training. Those of the encoder count only without --cache_dir."""

    data: DataOptions = dataclasses.field(default_factory=DataOptions)
    encoder: stages.EncoderOptions = dataclasses.field(default_factory=stages.EncoderOptions)
    cells: CellOptions = dataclasses.field(default_factory=CellOptions)
    head: HeadOptions = dataclasses.field(default_factory=HeadOptions)
    augmentation: AugmentationOptions = dataclasses.field(default_factory=AugmentationOptions)
    optimizer: OptimizerOptions = dataclasses.field(default_factory=OptimizerOptions)
    streaming: StreamingOptions = dataclasses.field(default_factory=StreamingOptions)
    run: RunOptions = dataclasses.field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        """Checks that no flag of one stage excludes one of another or makes it idle."""
        self._check_encoder()
        self._check_head()
        self._check_devices()
        if self.data.data_service and (self.data.cache_dir or self.streaming.imagery or self.run.deterministic):
            problem = f"--data_service={self.data.data_service}: it decodes a dataset's images, in an order of its own."
            raise errors.OptionError(problem, "leave it out with --cache_dir, --imagery and --deterministic")
        if self.data.data_service and self.optimizer.schedule == "chunked":
            problem = "--schedule=chunked with --data_service: its workers do not know the chunks."
            raise errors.OptionError(problem, "leave one of the two out")
        if self.streaming.imagery:
            self._check_imagery()

    def _check_encoder(self) -> None:
        """Checks what is trained of the encoder, and that changed images go through it."""
        if self.optimizer.train_backbone and self.encoder.unfreeze:
            problem = "--train_backbone with --unfreeze: one trains the whole encoder, the other a part."
            raise errors.OptionError(problem, "give one of them")
        if self.optimizer.train_backbone and onnx_files.is_onnx(self.encoder.backbone):
            problem = f"--train_backbone with --backbone={self.encoder.backbone}: "
            problem += "the library that runs ONNX gives no gradients."
            step = "leave --train_backbone out, or take an encoder of keras.applications or keras-hub"
            raise errors.OptionError(problem, step)
        if self.optimizer.train_backbone and self.data.cache_dir:
            problem = "--train_backbone with --cache_dir: cached features cannot train the encoder."
            raise errors.OptionError(problem, "leave --cache_dir empty to train from images")
        if self.augmentation.changes_images and self.data.cache_dir:
            name = next(name for name in ("brightness", "contrast", "crop") if getattr(self.augmentation, name))
            problem = f"--{name} with --cache_dir: cached features are of the images as they were."
            raise errors.OptionError(problem, "give it to trainers.extract with --variants=3, and --variants=3 here")

    def _check_head(self) -> None:
        """Checks the features and views that head, fusion and augmentation need."""
        is_cached = bool(self.data.cache_dir)
        if self.head.is_fitted and (self.encoder.unfreeze or self.run.members > 1 or not is_cached):
            problem = f"--head={self.head.head} trains nothing: "
            problem += "with --unfreeze, --members or without --cache_dir it is idle."
            raise errors.OptionError(problem, "extract features, and leave --unfreeze and --members out")
        if self.run.members > 1 and not (is_cached or self.streaming.imagery):
            problem = f"--members={self.run.members} without --cache_dir: "
            problem += "every member would decode and encode all images."
            raise errors.OptionError(problem, "run trainers.extract first, and name its --cache_dir")
        of_views = [name for name in ("view_mixup", "view_dropout") if getattr(self.augmentation, name)]
        of_views += ["fusion"] if self.head.fusion in ("attention", "lstm") else []
        if of_views and self.data.train_views == "single":
            problem = f"--{of_views[0]} with --train_views=single: it needs several views of a location."
            raise errors.OptionError(problem, "use --train_views=all")

    def _check_devices(self) -> None:
        """Checks that several devices can share the batches."""
        devices = self.run.devices
        if devices < 2:
            return
        if self.data.batch_size % devices:
            problem = f"--devices={devices} with --batch_size={self.data.batch_size}: they get shares of one size."
            raise errors.OptionError(problem, f"give a multiple, such as --batch_size={32 * devices}")
        on_one_device = {
            "head": self.head.is_fitted and self.head.head,
            "imagery": self.streaming.imagery,
            "schedule": self.optimizer.schedule == "chunked" and "chunked",
            "data_service": self.data.data_service,
        }
        for name, value in on_one_device.items():
            if value:
                problem = f"--devices={devices} with --{name}={value}: that trains on one device."
                raise errors.OptionError(problem, f"leave --devices out, or --{name}")

    def _check_imagery(self) -> None:
        """Checks for flags that --imagery excludes.

        The features of a tree are computed once and split by hash.

        The split of a location must not change when others come, which rules out --config=report.
        """
        data, members, steps = self.data, self.run.members, self.optimizer.steps_per_epoch
        build = "build a dataset of the tree (tfds build geods --manual_dir=TREE), and"
        conflicts = {
            f"--cache_dir={','.join(data.cache_dir)}: a cache is of a dataset.": (
                bool(data.cache_dir) and "leave one of the two out"
            ),
            f"--members={members}: a tree trains one network.": members > 1 and f"{build} extract its features",
            "--train_backbone: its views go through the encoder once.": (
                self.optimizer.train_backbone and f"{build} train on that"
            ),
            f"--config={data.config}: its splits change when images come.": (
                data.config not in ("blocked", "random") and "give --config=blocked or --config=random"
            ),
            f"--steps_per_epoch={steps}: a tree is trained on all that has come.": steps and "leave it out",
            f"--train_split={data.train_split}: a tree is trained on its train split.": (
                data.train_split != "train" and "leave --train_split out"
            ),
            f"--validation_split={data.validation_split}: only validation chooses the epoch.": (
                data.validation_split not in ("validation", "")
                and "leave --validation_split out, or empty to train all epochs unseen"
            ),
        }
        for problem, step in conflicts.items():
            if step:
                raise errors.OptionError(f"--imagery with {problem}", step)


def _check_positive(options: object, name: str, usual: str) -> None:
    if not 0 < getattr(options, name) < float("inf"):
        problem = f"--{name}={getattr(options, name)}: must be above 0."
        raise errors.OptionError(problem, f"{usual} is the default")

"""Options of trainers.train and their conflicts; every field is a flag."""

import dataclasses
from typing import TYPE_CHECKING, Literal

from geods import errors
from geods.cli import flags
from trainers.options import encoder_options

if TYPE_CHECKING:
    pass


# These look at every training place once instead of being trained.
FITTED_HEADS = ("neighbours", "kernel")


@dataclasses.dataclass(frozen=True)
class TrainOptions(encoder_options.EncoderOptions):
    """What to train, on what, how, to where. The flags of the encoder count only without --cache_dir."""

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = flags.option("float32", "Policy of the network.")
    imagery: str = flags.option("", "Imagery tree to train on instead of a dataset; views are encoded once.", path="in")
    follow: bool = flags.option(False, "Whether a scraper is filling --imagery: train on what comes until it is done.")
    follow_min_locations: int = flags.option(100, "Training locations that must be there before the first epoch.")
    follow_poll_s: float = flags.option(5.0, "Seconds between two looks at what has come, at least.")
    follow_timeout_s: float = flags.option(3600.0, "Seconds to wait for a scraper that has stopped or not yet begun.")
    memory_gb: float = flags.option(4.0, "Memory that the features of --imagery may take, GB.")

    run_dir: str = flags.option("runs/run", "Folder to write to.", path="out")
    train_split: str = flags.option("train", "Split to train on.")
    validation_split: str = flags.option(
        "validation", "Split that chooses the epoch; empty to train all epochs unseen."
    )
    cache_dir: str = flags.option("", "Folder that trainers.extract wrote; empty to train from images.", path="in")
    data_service: str = flags.option("", "host:port of a tf.data service that decodes images; empty to decode here.")
    data_service_wait_s: int = flags.option(300, "Seconds without a step after which a tf.data service counts as gone.")
    partition: str = flags.option("", "Partition file to label with instead of the dataset's own.", path="in")
    cells: Literal["partition", "quadtree"] = flags.option(
        "partition", "Cells of the partition, or of a quadtree over the training places (PlaNet)."
    )
    most_per_cell: int = flags.option(50, "Training places a box of --cells=quadtree may hold.")
    least_per_cell: int = flags.option(5, "Training places a cell of --cells=quadtree holds, or it joins a neighbour.")
    cell_deg: float = flags.option(0.0, "Side of finer cells to divide the partition's area into; 0 takes it as it is.")
    folds: int = flags.option(0, "Cross-validation: into how many parts to divide all splits of the cache; 0 for none.")
    fold: int = flags.option(0, "Which of --folds is held out, from 0.")
    train_backbone: bool = flags.option(False, "Whether to train the encoder too; only from images.")
    unfreeze_rate: float = flags.option(0.1, "Learning rate of the unfrozen blocks, as a factor of --learning_rate.")
    head: Literal[
        "report_75k", "report_1m", "report_6m", "report_13m", "report_lstm", "linear", "mlp", "neighbours", "kernel"
    ] = flags.option("mlp", "What stands on the features.")
    fusion: Literal["mean", "mean_log", "attention", "lstm"] = flags.option(
        "mean", "How views become one answer: mean of (log-)probabilities, weighted by attention, or read by an LSTM."
    )
    neighbours: int = flags.option(20, "How many training places --head=neighbours looks at.")
    sigma_km: float = flags.option(200.0, "Width of the kernel round each of them.")
    sharpness: float = flags.option(10.0, "How much more a more similar one counts, 0 for not at all.")
    most_places: int = flags.option(
        10_000, "Training places --head=kernel remembers, at most: a minute and 5 GB for that, growing as their square."
    )
    nearness_km: float = flags.option(
        0.0, "What --head=kernel counts as near, which makes near guesses worth more; 0 counts distance alone."
    )
    dropout: float | None = flags.option(
        None, "Share of values dropped before the last layer; the head's own if not given."
    )
    loss: Literal["one_hot", "label_smoothing", "haversine"] = flags.option(
        "haversine", "Targets of the cross-entropy."
    )
    smoothing: float = flags.option(0.1, "Share that --loss=label_smoothing spreads.")
    scale_km: float = flags.option(150.0, "Distance over which a target of --loss=haversine falls to 1/e.")
    decode: Literal["argmax", "least_distance", "highest_score"] = flags.option(
        "least_distance", "How the point is chosen from the probabilities."
    )
    lattice_deg: float = flags.option(0.0, "Step of a lattice of further points to choose from; 0 for centroids alone.")
    temperature: float = flags.option(1.0, "Divides log-probabilities before a point is chosen by expectation.")
    members: int = flags.option(1, "Networks trained from different seeds, whose log-probabilities are averaged.")
    train_views: Literal["single", "all"] = flags.option("all", "Whether a training example is one view or a location.")
    feature_dropout: float = flags.option(0.0, "Share of channels of the features zeroed in training.")
    view_mixup: float = flags.option(0.0, "Greatest share of another view of the place blended into one in training.")
    view_dropout: float = flags.option(0.0, "Share of a place's views hidden in training; one always stays.")
    schedule: Literal["plain", "chunked"] = flags.option(
        "plain", "plain passes, or the report's: all epochs on one chunk of examples, then on the next."
    )
    chunk_examples: int = flags.option(1000, "Examples a chunk of --schedule=chunked.")
    shuffle_locations: int = flags.option(4096, "Locations shuffled at once, whose images wait in memory; from images.")
    epochs: int = flags.option(25, "Passes over the training split, at most; over each chunk if chunked.")
    patience: int = flags.option(8, "Epochs without a better validation distance before training stops.")
    learning_rate: float = flags.option(1e-3, "Of Adam, at the start.")
    lr_schedule: Literal["constant", "cosine"] = flags.option("cosine", "How the learning rate falls over all epochs.")
    weight_decay: float = flags.option(1e-3, "Of AdamW; 0 is plain Adam.")
    devices: int = flags.option(0, "GPUs, or CPU cores if there is none, that share every batch; 0 or 1 for one.")
    deterministic: bool = flags.option(False, "Whether the same seed gives the same weights to the last bit; slower.")

    def __post_init__(self) -> None:
        """Checks what no other module checks."""
        super().__post_init__()
        encoder_options.check_at_least(
            self, 1, ("epochs", "patience", "chunk_examples", "members", "shuffle_locations")
        )
        encoder_options.check_at_least(self, 2, ("most_places",))
        encoder_options.check_at_least(self, 0, ("weight_decay", "cell_deg", "lattice_deg", "devices", "nearness_km"))
        for name, usual in (("learning_rate", "1e-3"), ("unfreeze_rate", "0.1"), ("temperature", "1")):
            if not 0 < getattr(self, name) < float("inf"):
                problem = f"--{name}={getattr(self, name)}: must be above 0."
                raise errors.OptionError(problem, f"{usual} is the default")
        if not self.run_dir:
            raise errors.OptionError("--run_dir is empty.", "name a folder, such as --run_dir=runs/mlp")
        encoder_options.check_at_least(self, 1, ("follow_min_locations", "data_service_wait_s"))
        encoder_options.check_at_least(self, 0.05, ("follow_poll_s",))
        encoder_options.check_at_least(self, 0, ("follow_timeout_s",))
        if not self.memory_gb > 0:
            raise errors.OptionError(f"--memory_gb={self.memory_gb}: must be above 0.", "4 is the default")
        check_conflicts(self, self.head in FITTED_HEADS)


def check_conflicts(settings: "TrainOptions", fitted: bool) -> None:
    """Refuses flags that exclude each other, or make each other idle.

    Args:
        settings: The options.
        fitted: Whether the head looks at every place once instead of being trained.

    Raises:
        OptionError: If there are such.
    """
    _of_idle(settings, fitted)
    _of_folds(settings)
    _of_devices(settings, fitted)
    _of_images(settings)
    if settings.imagery:
        _of_imagery(settings)
    elif settings.follow:
        raise errors.OptionError("--follow without --imagery.", "name the tree a scraper fills: --imagery=TREE")


def _of_images(settings: "TrainOptions") -> None:
    """Refuses what needs a cache without one, and what needs images with one."""
    if settings.members > 1 and not (settings.cache_dir or settings.imagery):
        problem = f"--members={settings.members} without --cache_dir: every member would decode and encode all images."
        raise errors.OptionError(problem, "run trainers.extract first, and name its --cache_dir")
    if settings.train_backbone and settings.cache_dir:
        problem = "--train_backbone with --cache_dir: cached features cannot train the encoder."
        raise errors.OptionError(problem, "leave --cache_dir empty to train from images")


def _of_folds(settings: "TrainOptions") -> None:
    """Refuses folds that do not exist, or that nothing is divided into."""
    if settings.folds == 0 and settings.fold == 0:
        return
    if settings.folds < 2 or not 0 <= settings.fold < settings.folds:
        problem = f"--folds={settings.folds} --fold={settings.fold}: there is no such fold."
        raise errors.OptionError(problem, "give at least 2 folds, and one of them counted from 0")
    if not settings.cache_dir:
        problem = "--folds without --cache_dir: folds are made of the rows of a cache."
        raise errors.OptionError(problem, "run trainers.extract first, and name its --cache_dir")


def _of_devices(settings: "TrainOptions", fitted: bool) -> None:
    """Refuses what several devices cannot share."""
    if settings.devices < 2:
        return
    if settings.batch_size % settings.devices:
        problem = f"--devices={settings.devices} with --batch_size={settings.batch_size}: they get shares of one size."
        raise errors.OptionError(problem, f"give a multiple, such as --batch_size={32 * settings.devices}")
    chunked = settings.schedule == "chunked"
    alone = {"head": fitted, "imagery": settings.imagery, "schedule": chunked, "data_service": settings.data_service}
    for name in filter(alone.get, alone):
        problem = f"--devices={settings.devices} with --{name}={getattr(settings, name)}: that trains on one device."
        raise errors.OptionError(problem, f"leave --devices out, or --{name}")


def _of_imagery(settings: "TrainOptions") -> None:
    """Refuses what does not go with a tree, whose features are computed once and split by hash.

    The split of a place must not change when others come, which rules out --config=report.
    """
    for refused, problem, step in (
        (
            settings.cache_dir,
            f"--imagery with --cache_dir={settings.cache_dir}: a cache is of a dataset.",
            "leave one of the two out",
        ),
        (
            settings.members > 1,
            f"--imagery with --members={settings.members}: a tree trains one network.",
            "build a dataset of the tree (tfds build geods --manual_dir=TREE), and extract its features",
        ),
        (
            settings.train_backbone,
            "--imagery with --train_backbone: its views go through the encoder once.",
            "build a dataset of the tree (tfds build geods --manual_dir=TREE), and train on that",
        ),
        (
            settings.config not in ("blocked", "random"),
            f"--imagery with --config={settings.config}: its splits change when images come.",
            "give --config=blocked or --config=random",
        ),
        (
            settings.train_split != "train",
            f"--imagery with --train_split={settings.train_split}: a tree is trained on its train split.",
            "leave --train_split out",
        ),
        (
            settings.validation_split not in ("validation", ""),
            f"--imagery with --validation_split={settings.validation_split}: only validation chooses the epoch.",
            "leave --validation_split out, or empty to train all epochs unseen",
        ),
    ):
        if refused:
            raise errors.OptionError(problem, step)


def _of_idle(settings: "TrainOptions", fitted: bool) -> None:
    """Raises OptionError for flags that another flag makes idle."""
    if settings.train_backbone and settings.unfreeze:
        problem = "--train_backbone with --unfreeze: one trains the whole encoder, the other a part."
        raise errors.OptionError(problem, "give one of them")
    of_images = [name for name in ("brightness", "contrast", "crop") if getattr(settings, name)]
    if of_images and settings.cache_dir:
        problem = f"--{of_images[0]} with --cache_dir: cached features are of the images as they were."
        raise errors.OptionError(problem, "give it to trainers.extract with --variants=3, and --variants=3 here")
    if settings.data_service and (settings.cache_dir or settings.imagery or settings.deterministic):
        problem = f"--data_service={settings.data_service}: it decodes a dataset's images, in an order of its own."
        raise errors.OptionError(problem, "leave it out with --cache_dir, --imagery and --deterministic")
    if settings.variants and not settings.cache_dir:
        problem = f"--variants={settings.variants} without --cache_dir: only caches have copies."
        step = "leave it out; --crop, --brightness and --contrast change images as they come"
        raise errors.OptionError(problem, step)
    if fitted and (settings.unfreeze or settings.members > 1 or not settings.cache_dir):
        problem = (
            f"--head={settings.head} trains nothing: with --unfreeze, --members or without --cache_dir it is idle."
        )
        raise errors.OptionError(problem, "extract features, and leave --unfreeze and --members out")
    of_views = [name for name in ("view_mixup", "view_dropout") if getattr(settings, name)]
    of_views += ["fusion"] if settings.fusion in ("attention", "lstm") else []
    if of_views and settings.train_views == "single":
        problem = f"--{of_views[0]} with --train_views=single: it needs several views of a place."
        raise errors.OptionError(problem, "use --train_views=all")

"""Flags of trainers.train that do not go together: each refused with what to do instead."""

from typing import TYPE_CHECKING

from geods import errors

if TYPE_CHECKING:
    from trainers import options


def refuse(settings: "options.TrainOptions", fitted: bool) -> None:
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


def _of_images(settings: "options.TrainOptions") -> None:
    """Refuses what needs a cache without one, and what needs images with one."""
    if settings.members > 1 and not (settings.cache_dir or settings.imagery):
        problem = f"--members={settings.members} without --cache_dir: every member would decode and encode all images."
        raise errors.OptionError(problem, "run trainers.extract first, and name its --cache_dir")
    if settings.train_backbone and settings.cache_dir:
        problem = "--train_backbone with --cache_dir: cached features cannot train the encoder."
        raise errors.OptionError(problem, "leave --cache_dir empty to train from images")


def _of_folds(settings: "options.TrainOptions") -> None:
    """Refuses folds that do not exist, or that nothing is divided into."""
    if settings.folds == 0 and settings.fold == 0:
        return
    if settings.folds < 2 or not 0 <= settings.fold < settings.folds:
        problem = f"--folds={settings.folds} --fold={settings.fold}: there is no such fold."
        raise errors.OptionError(problem, "give at least 2 folds, and one of them counted from 0")
    if not settings.cache_dir:
        problem = "--folds without --cache_dir: folds are made of the rows of a cache."
        raise errors.OptionError(problem, "run trainers.extract first, and name its --cache_dir")


def _of_devices(settings: "options.TrainOptions", fitted: bool) -> None:
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


def _of_imagery(settings: "options.TrainOptions") -> None:
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


def _of_idle(settings: "options.TrainOptions", fitted: bool) -> None:
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

"""Features by name, each in a folder of its own below --cache_dir.

The names are those of trainers/recipes/features. A recipe names its own with --features, so that one --cache_dir serves
all recipes.
"""

import pathlib
import re

from geods import errors
from geods.dataset import splits
from trainers.features import cache_format
from trainers.options import extract_options, train_options

FOLDER = pathlib.Path(__file__).parents[1] / "recipes" / "features"
# The recipe to try first on each.
RECIPES = {"pooled": "mlp", "textures": "best", "blocks": "fine_tuned", "maps": "report_1m", "peaks": "lstm"}
RECIPES |= {"lite10": "joined", "lite14": "joined"}


def flagfile(name: str) -> pathlib.Path:
    """Returns the flag file of trainers.extract for some features.

    Raises:
        OptionError: If there are none of that name.
    """
    path = FOLDER / f"{name}.cfg"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.cfg")))
        raise errors.OptionError(f"--features={name}: there are no such features.", f"choose from {known}")
    return path


def of_recipe(path: pathlib.Path) -> str:
    """Returns the name of a recipe's features, "" if it names none."""
    return _flag("features", path)


def cache_dir_of(cache: extract_options.CacheOptions) -> str:
    """Returns the folder of an extraction, named after its features."""
    if not cache.features or pathlib.Path(cache.cache_dir).name == cache.features:
        return cache.cache_dir
    return str(pathlib.Path(cache.cache_dir, cache.features))


def find(data: train_options.DataOptions) -> tuple[str, ...]:
    """Returns the folders of a training's feature caches, one for each encoder.

    Those of its features below --cache_dir, or else --cache_dir itself.

    Raises:
        OptionError: If there are no features of that name.
        CacheError: If neither holds the recipe's features; the message has the command that makes them.
    """
    if not data.features or not data.cache_dir:
        return data.cache_dir
    names = data.features.split(",")
    folders = folders_of(data)
    names = names if len(names) == len(folders) else names[:1] * len(folders)
    for name, folder in zip(names, folders, strict=True):
        for variant in range(data.variants + 1):
            _check(cache_format.folder_of(folder, _split(data), variant), name, data)
    return tuple(map(str, folders))


def folders_of(data: train_options.DataOptions) -> list[pathlib.Path]:
    """Returns the folders of features below --cache_dir, or else --cache_dir itself."""
    below = [pathlib.Path(data.cache_dir[0], name) for name in data.features.split(",")]
    is_below = len(data.cache_dir) == 1 and (len(below) > 1 or below[0].is_dir())
    return below if is_below else list(map(pathlib.Path, data.cache_dir))


def _split(data: train_options.DataOptions) -> str:
    return splits.TRAIN if data.folds else data.train_split


def _check(folder: pathlib.Path, name: str, data: train_options.DataOptions) -> None:
    """Raises CacheError if a cache is missing, or pooled in another way."""
    path, below = flagfile(name), pathlib.Path(data.cache_dir[0])
    below = below.parent if below.name == name else below
    step = f"python -m trainers.extract --recipe=features/{name} --data_dir={data.data_dir} --config={data.config} "
    step += f"--cache_dir={below}"
    if not (folder / cache_format.INDEX).is_file():
        raise errors.CacheError(f"{folder}: no feature cache there; the recipe takes {name}.", step)
    pooling, wanted = cache_format.read_index(folder)["key"]["pooling"], _flag("pooling", path)
    # Heads pool whole maps themselves.
    if pooling not in (wanted, "none"):
        problem = f"{folder}: holds features of --pooling={pooling}, but the recipe takes {name}, "
        raise errors.CacheError(f"{problem}--pooling={wanted}.", f"{step}; or take these as they are: --features=")


def _flag(name: str, path: pathlib.Path) -> str:
    """Returns the value of a flag in a flag file, "" if it is not there."""
    found = re.search(rf"^--{name}=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""

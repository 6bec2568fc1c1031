"""Trains, evaluates and compares recipes on one dataset.

    python -m tools.leaderboard --data_dir=data --recipes=linear,mlp,best --backbone=mobilenet_v2 --out=leaderboard

Extracts the features of each recipe once (trainers/recipes/features), then cross-validates every recipe over the same
blocked folds, so that all locations are predicted once by a model that saw none of their block; --folds=0 takes the
dataset's own splits instead. Prints a table with 95 % intervals and paired differences, beside people, the best
constant and a random guess; writes it to leaderboard.md and leaderboard.json, and the bars of the report's Figure 9 to
leaderboard.png. Finished work is kept: the same command resumes, also with more recipes. On 990 locations and 2 cores
linear, mlp and best take 5 minutes each with their features, fine_tuned 40.
"""

import dataclasses
import math
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from geods import errors
from geods.cli import flags, program
from geods.remote import urls
from geods.storage import files
from trainers.options import train_options

if TYPE_CHECKING:
    from trainers.evaluation import comparison


RECIPES = pathlib.Path(train_options.__file__).parents[1] / "recipes"


@dataclasses.dataclass(frozen=True)
class Options:
    """Recipes to compare, and their dataset and encoder."""

    data_dir: str = flags.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = flags.option("blocked", "Config of the dataset.")
    recipes: tuple[str, ...] = flags.option(
        ("linear", "mlp", "best"),
        "Recipes by name, or PATH.cfg@FEATURES for one of your own.",
        path="in",
    )
    folds: int = flags.option(5, "Parts to cross-validate over; 0 for the dataset's own splits.")
    backbone: str = flags.option("mobilenet_v2", "Encoder: any of keras.applications.")
    backbone_weights: str = flags.option("imagenet", "imagenet, random, or the path of a weights file.", path="in")
    height_px: int = flags.option(200, "Height in pixels the images are resized to, but for features of several sizes.")
    width_px: int = flags.option(400, "Width in pixels the images are resized to, but for features of several sizes.")
    epochs: int | None = flags.option(None, "Epochs of every recipe; each recipe's own if not given.")
    seed: int = flags.option(0, "Seed of every training.")
    out: str = flags.option("leaderboard", "Folder to write to.", path="out")

    def __post_init__(self) -> None:
        """Checks the recipes and the folds.

        Raises:
            OptionError: If a recipe does not exist, is given twice, or its features are not known.
        """
        if not self.recipes or not self.out:
            raise errors.OptionError("--recipes or --out is empty.", "name recipes, such as --recipes=linear,mlp")
        if self.folds == 1 or self.folds < 0:
            raise errors.OptionError(f"--folds={self.folds}: is no division.", "give 2 or more, or 0 for the splits")
        if any(map(urls.is_url, self.recipes)):
            # They are read once they are downloaded.
            return
        names = [recipe_of(text).name for text in self.recipes]
        if len(set(names)) < len(names):
            raise errors.OptionError(f"--recipes={','.join(self.recipes)}: two have the same name.", "leave one out")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe of the table.

    Attributes:
        name: What the table calls it.
        path: Its flag file for trainers.train.
        features: Flag file for trainers.extract.
    """

    name: str
    path: pathlib.Path
    features: pathlib.Path


def recipe_of(text: str) -> Recipe:
    """Finds a recipe by name, or by path with features.

    Raises:
        OptionError: If there is no such recipe, or its features are not known.
    """
    from trainers.features import named_features

    first, _, features = text.partition("@")
    path = pathlib.Path(first) if first.endswith(".cfg") else RECIPES / f"{first}.cfg"
    ours = ", ".join(sorted(path.stem for path in RECIPES.glob("*.cfg") if named_features.of_recipe(path)))
    if not path.is_file():
        raise errors.OptionError(f"{text}: there is no recipe {path}.", f"choose from {ours}, or name a .cfg file")
    features = features or named_features.of_recipe(path)
    extraction = pathlib.Path(features) if features.endswith(".cfg") else named_features.FOLDER / f"{features}.cfg"
    if not features or not extraction.is_file():
        known = ", ".join(sorted(path.stem for path in named_features.FOLDER.glob("*.cfg")))
        problem = f"{text}: it is not known which features it takes."
        raise errors.OptionError(problem, f"write them after an @, such as {first}@pooled; there are {known}")
    return Recipe(path.stem, path, extraction)


def main(settings: Options) -> None:
    """Makes the table."""
    from trainers.evaluation import comparison

    recipes = [recipe_of(text) for text in settings.recipes]
    out = pathlib.Path(settings.out)
    for features in dict.fromkeys(recipe.features for recipe in recipes):
        _extract(settings, features)
    found = [_measure(settings, recipe) for recipe in recipes]
    reference = next((one for one in found if one.name == "best"), found[0])
    text = comparison.table(found, reference)
    files.write_text(out / "leaderboard.md", text + "\n")
    files.write_json(out / "leaderboard.json", comparison.as_json(found, reference))
    _draw(found, out / "leaderboard.png")
    print(text)
    print(f"wrote {out / 'leaderboard.md'}, leaderboard.json and leaderboard.png")
    best = min(found, key=lambda one: one.metrics["mean_miles"])
    program.print_next(f"python -m tools.render --run_dir={out / best.name}")


def _extract(settings: Options, features: pathlib.Path) -> None:
    """Extracts features that are not there yet.

    A finished cache is left as it is within seconds.

    Raises:
        CacheError: If that fails; the program has said why.
    """
    # What comes last counts: features of several sizes say which in their file.
    sizes = [f"--height_px={settings.height_px}", f"--width_px={settings.width_px}"]
    words = [f"--flagfile={features}"]
    words = [*sizes, *words] if "--more_heights_px" in features.read_text(encoding="utf-8") else [*words, *sizes]
    words += [
        f"--features={features.stem}",
        f"--cache_dir={_cache_dir(settings, features)}",
        f"--config={settings.config}",
    ]
    for name in ("data_dir", "backbone", "backbone_weights", "seed"):
        words.append(f"--{name}={getattr(settings, name)}")
    print(f"features {features.stem}", flush=True)
    environment = os.environ | {program.NO_NEXT: "1"}
    if subprocess.run([sys.executable, "-m", "trainers.extract", *words], env=environment, check=False).returncode:
        raise errors.CacheError(f"features {features.stem}: extraction failed.", "fix the error above, and start again")


def _measure(settings: Options, recipe: Recipe) -> "comparison.RunSummary":
    """Trains and evaluates one recipe; returns its row."""
    from trainers.evaluation import comparison, cross_validation

    given = {name: getattr(settings, name) for name in ("data_dir", "config", "folds", "seed", "epochs")}
    given |= {"cache_dir": _cache_dir(settings, recipe.features), "run_dir": pathlib.Path(settings.out, recipe.name)}
    # Which features it gets was said already.
    given |= {"features": ""}
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    run = flags.from_flagfile(train_options.TrainOptions, recipe.path, *words)
    folder = pathlib.Path(run.run.run_dir)
    print(f"recipe {recipe.name}", flush=True)
    if settings.folds:
        cross_validation.cross_validate(run)
    else:
        cross_validation.train_and_evaluate(flags.replace(run, overwrite=True))
    row = comparison.read(recipe.name, folder, 0, 0.0)
    one_model = folder / "fold0" if settings.folds else folder
    return dataclasses.replace(row, parameters=_parameters(one_model), seconds=row.metrics["seconds"])


def _parameters(folder: pathlib.Path) -> int:
    """Returns how many weights were trained.

    Those behind the features that are not frozen.
    """
    program.import_quietly("tensorflow")
    from model import geolocator
    from trainers.runs import run_folder

    classifier = geolocator.load(folder / run_folder.MODEL).get_layer("classifier")
    return sum(math.prod(weight.shape) for weight in classifier.trainable_weights)


def _cache_dir(settings: Options, features: pathlib.Path) -> pathlib.Path:
    """Returns where the features of a kind lie."""
    return pathlib.Path(settings.out, "features", features.stem)


def _draw(found: "Sequence[comparison.RunSummary]", path: pathlib.Path) -> None:
    """Draws the report's Figure 9."""
    from trainers.plots import figures

    metrics = [one.metrics for one in found]
    limits = [(one["intervals"]["mean_miles"][0], one["intervals"]["mean_miles"][1]) for one in metrics]
    constant = [one["constant_guess"]["mean_miles"] for one in metrics]
    picture = figures.comparison(
        [one.name for one in found],
        [one["mean_miles"] for one in metrics],
        limits,
        constant,
        metrics[0].get("people", {}).get("mean_miles", 0.0),
    )
    files.write_bytes(path, figures.to_png(picture))


if __name__ == "__main__":
    program.run(Options, main)

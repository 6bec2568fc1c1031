"""Options of trainers.evaluate by stage; every field is a flag."""

import dataclasses
import pathlib
from typing import Literal

from geods import errors
from geods.cli import flags
from trainers.options import stages


@dataclasses.dataclass(frozen=True)
class LocationOptions:
    """The locations to evaluate a run on."""

    split: str = flags.option("test", "Split of the run's dataset to evaluate on.")
    imagery: str = flags.option("", "Imagery tree to evaluate on instead of a split.", path="in")
    include_seen: bool = flags.option(
        False,
        "Whether to count locations of --imagery that the run was trained or validated on; else they are left out.",
    )
    data_dir: str = flags.option("", "Where the run's dataset is now, if it was moved.", path="in")
    cache_dir: str = flags.option("", "Where the run's feature cache is now, if it was moved.", path="in")
    views: Literal["auto", "single", "all"] = flags.option("auto", stages.VIEWS_HELP)
    from_images: bool = flags.option(False, "Whether to run the encoder although its features are cached.")
    batch_size: int = flags.option(32, "Locations a batch.")
    exact_pixels: bool = flags.option(False, f"{stages.EXACT_PIXELS_HELP} As the run was trained, if not given.")

    def __post_init__(self) -> None:
        """Checks the batch."""
        flags.check_at_least(self, 1, ("batch_size",))


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Options of an evaluation."""

    locations: LocationOptions = dataclasses.field(default_factory=LocationOptions)
    run_dir: str = flags.option("runs/run", "Folder that trainers.train wrote.", path="out", unless="out")
    checkpoint: str = flags.option("", stages.CHECKPOINT_HELP)
    out: str = flags.option("", "Folder to write to; the run folder if empty, but not with --imagery.", path="out")
    humans: str = flags.option(
        "", "guesses.csv of tools.play, to add the figures of people on the locations they guessed.", path="in"
    )
    seed: int = flags.option(0, "Seed of the random guess and the bootstrap.")

    def __post_init__(self) -> None:
        """Checks that figures of a tree or a checkpoint do not replace the run's own."""
        is_own = not self.out or pathlib.Path(self.out).absolute() == pathlib.Path(self.run_dir).absolute()
        for name, value in (("imagery", self.locations.imagery), ("checkpoint", self.checkpoint)):
            if value and is_own:
                problem = f"--{name} without --out of its own: its figures would replace those of the run's test split."
                raise errors.OptionError(problem, f"add a folder, such as --out={self.run_dir}/on_{name}")

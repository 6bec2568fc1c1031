"""Serves a game against a run: locations it was not trained on, to find on a map.

    python -m tools.play --run_dir=runs/mlp
    python -m tools.play --run_dir=runs/mlp --predictions=runs/mlp/on_tree --imagery=TREE

Open the address it prints. A game has five rounds: look at the views of a location, drop a pin on the map, and see the
true point, the model's answer and the constant guess, with miles and score. The locations are those of predictions.csv,
which trainers.evaluate writes; their images come from the run's dataset, or the tree they were evaluated on. Guesses
are added to guesses.csv in the run folder or --out, without names; then

    python -m trainers.evaluate --run_dir=runs/mlp --humans=runs/mlp/guesses.csv

adds the figures of people to the model's. The page loads nothing from elsewhere, and neither coordinates nor the
model's answer leave the server before the guess. Starts in about a second, without TensorFlow.
"""

import dataclasses
import os
import pathlib

from geods import errors
from geods.cli import flags, program
from trainers.serving import server_options


@dataclasses.dataclass(frozen=True)
class Options(server_options.ServerOptions):
    """Run to play against, and where its images and the guesses are."""

    run_dir: str = flags.option("", "Run folder that trainers.evaluate has evaluated.", path="out", unless="out")
    predictions: str = flags.option(
        "", "Folder of other predictions by the same run (evaluate --out); empty: run_dir.", path="in"
    )
    imagery: str = flags.option("", "Imagery tree of the locations; empty: what the run was evaluated on.", path="in")
    data_dir: str = flags.option("", "Where the run's dataset is now, if it was moved.", path="in")
    out: str = flags.option("", "File to add guesses to; empty: guesses.csv in the run folder.", path="out")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is missing or out of range.
        """
        super().__post_init__()
        flags.check_given(self, run_dir="name a run folder: --run_dir=RUN")
        if self.out and pathlib.Path(self.out).suffix.lower() != ".csv":
            raise errors.OptionError(f"--out={self.out}: is no .csv file.", "write --out=guesses.csv")


def main(options: Options) -> None:
    """Serves games until it is interrupted."""
    from geods.storage import files
    from trainers.plots import view_source
    from trainers.runs import human_guesses, predictions
    from trainers.serving import game, game_routes, web

    cells = predictions.read_partition(options.run_dir)
    found = predictions.read(options.predictions or options.run_dir, len(cells))
    source = view_source.open_source(options.run_dir, options.predictions, options.imagery, options.data_dir)
    out = pathlib.Path(options.out or pathlib.Path(options.run_dir, human_guesses.NAME))
    step = "name a file in a folder that is there: --out=FILE.csv"
    if not os.access(files.check_folder(out.resolve().parent, step), os.W_OK):
        raise errors.UnwritableError(f"{out}: cannot be written.", step)
    games = game.Games(found, cells, source, out)
    server = web.Server(options)
    print(f"{len(found):,} locations of {source.name}; play at {server.url}, stop with Ctrl-C", flush=True)
    server.run(game_routes.routes(games, pathlib.Path(options.run_dir).resolve().name))
    if games.guesses:
        print(f"{games.guesses:,} guesses added to {out}")
        program.print_next(evaluate_command(options, out))


def evaluate_command(options: Options, out: pathlib.Path) -> str:
    """Returns the command that puts the guesses in `out` beside the model's."""
    from trainers.plots import view_source

    tree, split = view_source.evaluated_on(options.predictions) if options.predictions else ("", "")
    words = {"run_dir": options.run_dir, "imagery": tree, "split": split, "out": options.predictions, "humans": out}
    return " ".join(["python -m trainers.evaluate", *(f"--{name}={word}" for name, word in words.items() if word)])


if __name__ == "__main__":
    program.run(Options, main)

"""Runs every step on a simulated world, from the boundary to the map.

    python -m tools.demo --out=demo

Runs the programs one after another and prints each command, so that each can be repeated by hand. The
images are scraped over HTTP from a simulated Street View that it starts on this machine, with a simulated key
and simulated prices. Needs no network and no weights: the encoder's are random, which is enough for drawn scenes alone.
Takes about 2 minutes on 2 cores and prints the figures on the test locations and the path of the map. A second run
reuses images, dataset and features and trains again.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator

from geods import errors
from geods.cli import flags, program
from geods.imagery.scraping import outcome
from geods.imagery.street_view import street_view_options
from geods.simulation.server import server_options

_ROOT = pathlib.Path(__file__).parent.parent
_RECIPE = _ROOT / "trainers" / "recipes" / "demo.cfg"
_LOG_LINES = 8
_KEY_VARIABLE, _KEY = street_view_options.KEY_ENV, server_options.DEMO_KEY
# Some cells of the simulated world have few roads.
_UNDER_TARGET = outcome.EXIT_CODES["under_target"]


@dataclasses.dataclass(frozen=True)
class Options:
    """Output folder and size of the demo."""

    out: str = flags.option("demo", "Folder for everything the demo makes.", path="out")
    cell_deg: float = flags.option(4.0, "Side of a cell's box in degrees.")
    locations_per_cell: int = flags.option(24, "Locations in each cell, with 3 views each.")
    epochs: int | None = flags.option(None, "Passes over the training split, at most; the recipe's if not given.")

    def __post_init__(self) -> None:
        """Checks the folder; the programs check the rest.

        Raises:
            OptionError: If it is empty.
        """
        if not self.out:
            raise errors.OptionError("--out: is empty.", "name a folder, such as --out=demo")


@dataclasses.dataclass(frozen=True)
class Step:
    """One program of the demo.

    Attributes:
        purpose: What it does, in a few words.
        arguments: What follows the Python interpreter.
        log: File for its output; "" to show it.
        scrapes: Whether it needs the simulated Street View.
    """

    purpose: str
    arguments: tuple[str, ...]
    log: str = ""
    scrapes: bool = False

    @property
    def command(self) -> str:
        """Command line to run it by hand."""
        key = f"{_KEY_VARIABLE}={_KEY} " if self.scrapes else ""
        return key + shlex.join([_shown(sys.executable), *self.arguments])


def main(options: Options) -> None:
    """Runs the steps and prints the results."""
    road = steps(options)
    times_s = []
    for number, step in enumerate(road, 1):
        print(f"\n[{number}/{len(road)}] {step.purpose}", flush=True)
        started = time.monotonic()
        with _served(step) as ready:
            print(f"$ {ready.command}", flush=True)
            _run(ready, number, options)
        times_s.append(time.monotonic() - started)
    print()
    for step, seconds in zip(road, times_s, strict=True):
        print(f"{seconds:5.0f} s  {step.purpose}")
    print(f"{sum(times_s):5.0f} s  in all\n")
    print(_results(pathlib.Path(options.out)))


def steps(options: Options) -> list[Step]:
    """Returns the programs in order."""
    out = pathlib.Path(options.out)
    cells, tree, data, cache, run = (str(out / name) for name in ("partition.geojson", "tree", "data", "cache", "run"))
    epochs = () if options.epochs is None else (f"--epochs={options.epochs}",)
    return [
        _program(
            "cells over a coarse outline of the US",
            "tools.make_partition",
            "--boundary=demo",
            f"--out={cells}",
            f"--cell_deg={options.cell_deg:g}",
        ),
        _program(
            "images of a simulated Street View",
            "tools.scrape",
            f"--partition={cells}",
            f"--out={tree}",
            f"--locations_per_cell={options.locations_per_cell}",
            "--height_px=150",
            "--width_px=300",
            # Play money: the service on this machine counts, but does not charge.
            "--max_cost=1000",
            "--images_per_s=1000",
            "--lookups_per_s=1000",
            scrapes=True,
        ),
        # The tfds command itself would have to be on the PATH; this is what it calls.
        _program(
            "images to a TFDS dataset",
            "tensorflow_datasets.scripts.cli.main",
            "build",
            _shown(str(_ROOT / "geods")),
            "--config=blocked",
            f"--manual_dir={tree}",
            f"--data_dir={data}",
            # It prints the whole description of the dataset.
            log=str(out / "tfds_build.log"),
        ),
        _program(
            "features of a frozen encoder", "trainers.extract", f"--data_dir={data}", f"--cache_dir={cache}", *_ENCODER
        ),
        _program(
            "training on the features",
            "trainers.train",
            f"--flagfile={_shown(str(_RECIPE))}",
            f"--data_dir={data}",
            f"--cache_dir={cache}",
            f"--run_dir={run}",
            "--overwrite",
            *epochs,
        ),
        _program("figures on the test locations", "trainers.evaluate", f"--run_dir={run}"),
        _program("map of the predictions", "tools.render", f"--run_dir={run}"),
    ]


_ENCODER = (
    "--backbone=mobilenet_v2",
    "--backbone_weights=random",
    "--layer=block_6_depthwise_relu",
    "--pooling=avg",
    "--height_px=150",
    "--width_px=300",
)


def _program(purpose: str, module: str, *arguments: str, log: str = "", scrapes: bool = False) -> Step:
    return Step(purpose, ("-m", module, *arguments), log, scrapes)


@contextlib.contextmanager
def _served(step: Step) -> Iterator[Step]:
    """Yields the step with the address of a running simulated Street View.

    Raises:
        RunError: If the service does not start.
    """
    if not step.scrapes:
        yield step
        return
    command = [sys.executable, "-m", "tools.simulated_street_view", "--port=0"]
    print(f"(beside it runs {shlex.join([_shown(sys.executable), *command[1:]])})", flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            first_line = service.stdout.readline() if service.stdout else ""
            if "http://" not in first_line:
                raise errors.RunError(
                    "the simulated Street View did not start.", f"run it alone: {shlex.join(command)}"
                )
            yield dataclasses.replace(step, arguments=(*step.arguments, f"--api_base={first_line.split()[-1]}"))
        finally:
            service.terminate()
            service.communicate()


def _run(step: Step, number: int, options: Options) -> None:
    """Runs a step; exits with its code if it fails."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", program.NO_NEXT: "1"} | os.environ
    environment |= {_KEY_VARIABLE: _KEY} if step.scrapes else {}
    command = [sys.executable, *step.arguments]
    if step.log:
        print(f"(its output goes to {step.log})", flush=True)
        with open(step.log, "w", encoding="utf-8") as log:
            done = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    else:
        done = subprocess.run(command, env=environment, check=False)
    if not done.returncode or (step.scrapes and done.returncode == _UNDER_TARGET):
        return
    if step.log:
        lines = pathlib.Path(step.log).read_text(encoding="utf-8").splitlines()
        print("\n".join(lines[-_LOG_LINES:]), file=sys.stderr)
    message = (
        f"error: step {number}, {step.purpose}, ended with code {done.returncode}; its own message is above.\n"
        f"Next: fix that, then run the step alone: {step.command}\n"
        f"      or the whole demo again: {_shown(sys.executable)} -m tools.demo --out={options.out}"
    )
    print(message, file=sys.stderr)
    # A shell says 128 + n for a program that signal n ended.
    sys.exit(done.returncode if done.returncode > 0 else 128 - done.returncode)


def _results(out: pathlib.Path) -> str:
    from trainers.runs import distance_metrics

    metrics = json.loads((out / "run" / "metrics.json").read_text(encoding="utf-8"))
    return f"{distance_metrics.table(metrics)}\n\nopen {out / 'run' / 'map.html'}"


def _shown(path: str) -> str:
    """Returns a path relative to the current folder if it lies below it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


if __name__ == "__main__":
    program.run(Options, main)

"""Runs every step on a simulated world, from the boundary to the map.

    python -m tools.demo --out=demo

Runs the programs one after another and prints each command, so that each can be repeated by hand. The images are
scraped over HTTP from a simulated Street View that it starts on this machine, with a simulated key and simulated
prices. Needs no network and no weights: the encoder's are random, which is enough for drawn scenes alone. Takes 1 to 6
minutes on 2 cores and prints the figures on the test locations and the path of the map. A second run reuses images,
dataset and features and trains again.
"""

import dataclasses
import json
import pathlib

from geods.cli import flags, program
from tools import steps


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
        flags.check_given(self, out="name a folder, such as --out=demo")


def main(options: Options) -> None:
    """Runs the steps and prints the results."""
    steps.run(road(options), f"tools.demo --out={options.out}")
    print(f"\n{_results(pathlib.Path(options.out))}")


def road(options: Options) -> list[steps.Step]:
    """Returns the programs in order."""
    out = pathlib.Path(options.out)
    cells, tree, data, cache, run = (str(out / name) for name in ("partition.geojson", "tree", "data", "cache", "run"))
    epochs = () if options.epochs is None else (f"--epochs={options.epochs}",)
    return [
        steps.program(
            "cells over a coarse outline of the US",
            "tools.make_partition",
            "--boundary=demo",
            f"--out={cells}",
            f"--cell_deg={options.cell_deg:g}",
        ),
        steps.program(
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
        steps.dataset("blocked", tree, data),
        steps.program(
            "features of a frozen encoder", "trainers.extract", f"--data_dir={data}", f"--cache_dir={cache}", *_ENCODER
        ),
        steps.program(
            "training on the features",
            "trainers.train",
            steps.recipe("demo"),
            f"--data_dir={data}",
            f"--cache_dir={cache}",
            f"--run_dir={run}",
            "--overwrite",
            *epochs,
        ),
        steps.program("figures on the test locations", "trainers.evaluate", f"--run_dir={run}"),
        steps.program("map of the predictions", "tools.render", f"--run_dir={run}"),
    ]


_ENCODER = (
    "--backbone=mobilenet_v2",
    "--backbone_weights=random",
    "--layer=block_6_depthwise_relu",
    "--pooling=avg",
    "--height_px=150",
    "--width_px=300",
)


def _results(out: pathlib.Path) -> str:
    from trainers.runs import distance_metrics

    metrics = json.loads((out / "run" / "metrics.json").read_text(encoding="utf-8"))
    play = f"play against it: python -m tools.play --run_dir={out / 'run'}"
    return f"{distance_metrics.table(metrics)}\n\nopen {out / 'run' / 'map.html'}\n{play}"


if __name__ == "__main__":
    program.run(Options, main)

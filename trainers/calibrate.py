"""Says how far the probabilities of an evaluated run can be trusted, and makes credible regions of them.

    python -m trainers.calibrate --run_dir=runs/mlp

Reads what trainers.evaluate or trainers.cross_validate wrote, divides those locations by 1-degree blocks, and fits a
temperature and the size of the regions on some to measure them on the others. Takes seconds. Prints calibration error
before and after, the share of truths that the regions hold, their size, and the error of the most confident guesses;
writes calibration.json, with which tools.predict gives a region too, and calibration.png.
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from geods import cli, errors, files, geometry, partition
from trainers import calibration, predictions, runs

_SAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Options:
    """What to calibrate."""

    run_dir: str = cli.option("runs/run", "Folder of an evaluated run.")
    level: float = cli.option(0.9, "Share of truths that a credible region is to hold.")
    parts: int = cli.option(5, "Parts the locations are divided into, to fit on all but one and measure on that.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If there are fewer than two parts.
        """
        if self.parts < 2:
            raise errors.OptionError(f"--parts={self.parts}: nothing would be left to measure on.", "give 2 or more")


def main(settings: Options) -> None:
    """Fits, measures, writes and prints."""
    folder = pathlib.Path(settings.run_dir)
    cells = predictions.read_partition(folder)
    with runs.claim(folder):
        _calibrate(folder, cells, settings)


def _calibrate(folder: pathlib.Path, cells: partition.Partition, settings: Options) -> None:
    """Calibrates the predictions in a folder."""
    found = predictions.read(folder, len(cells))
    probabilities = np.array([one.probabilities for one in found], dtype=np.float64)
    truth, guessed = np.array([one.truth for one in found]), np.array([one.predicted for one in found])
    labels = cells.label(truth[:, 0], truth[:, 1])
    fitted = calibration.fit(probabilities, labels, cells.areas_km2, settings.level)
    scaled, regions = calibration.cross_fitted(probabilities, truth, cells, settings.level, settings.parts)
    expected_km = np.einsum("nc,nc->n", scaled, geometry.pairwise_km(guessed, cells.centroids))
    distance_km = geometry.haversine_km(truth, guessed)
    measured = {
        **dataclasses.asdict(fitted),
        "locations": len(found),
        "calibration_error_before": calibration.expected_calibration_error(probabilities, labels),
        "calibration_error_after": calibration.expected_calibration_error(scaled, labels),
        **_of_regions(regions, labels, cells),
        "risk_by_coverage": calibration.risk_by_coverage(expected_km, distance_km),
    }
    with runs.resealing(folder, runs.CALIBRATION):
        files.write_json(folder / runs.CALIBRATION, measured)
    _draw(measured, folder / "calibration.png")
    _tell(measured)
    print(f"wrote {folder / runs.CALIBRATION} and calibration.png")


def read(folder: pathlib.Path) -> calibration.Calibration | None:
    """Reads what was fitted for a run; None if nothing was.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / runs.CALIBRATION
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = files.parse_json(path.read_bytes())
        return calibration.Calibration(*(float(found[name]) for name in ("temperature", "level", "mass")))
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{path}: is damaged ({type(error).__name__}: {error})."
        raise errors.RunError(problem, f"python -m trainers.calibrate --run_dir={folder}") from error


def _of_regions(regions: np.ndarray, labels: np.ndarray, cells: partition.Partition) -> dict[str, Any]:
    """Returns how many truths the regions hold, with a 95 % bootstrap interval, and how large they are."""
    held = regions[np.arange(len(labels)), np.maximum(labels, 0)] & (labels >= 0)
    rng = np.random.default_rng(0)
    means = [held[rng.integers(len(held), size=len(held))].mean() for _ in range(_SAMPLES)]
    area_km2 = regions @ cells.areas_km2
    return {
        "coverage": float(held.mean()),
        "coverage_interval": np.percentile(means, [2.5, 97.5]).tolist(),
        "median_region_km2": float(np.median(area_km2)),
        "median_region_share": float(np.median(area_km2) / cells.areas_km2.sum()),
    }


def _tell(measured: dict[str, Any]) -> None:
    """Prints what was measured."""
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
    """Draws the error of the most confident guesses."""
    from trainers import figures

    files.write_bytes(path, figures.to_png(figures.risk_curve(measured["risk_by_coverage"])))


if __name__ == "__main__":
    cli.run(Options, main)

"""The programs that write trees and pictures, for tests of full disks."""

import pathlib
from collections.abc import Callable

import drawn_photos
import kill_works

from geods.geo import partition
from tools import convert_tree, import_images, render, simulate_tree

# They hold when something was done, or the order in which threads did it.
_TIMED = ("import.sqlite",)


def works(made: kill_works.Road) -> dict[str, Callable[[pathlib.Path], None]]:
    """Returns the programs, each as a function of the folder it writes to."""
    cells, photos, run = made.tree / "partition.geojson", made.folder / "photos", made.folder / "run"
    if not photos.exists():
        for number in range(60):
            name = photos / f"{number // 10}" / f"{number}.jpg"
            drawn_photos.write(name, number, *_inside(cells, number))
    made.need("data", "cache", "run")
    if not (run / "predictions.csv").exists():
        made.evaluate(run)
    return {
        "convert_tree": lambda target: convert_tree.main(
            convert_tree.Options(source=str(made.tree), out=str(target), to="combined_folders")
        ),
        "simulate_tree": lambda target: simulate_tree.main(
            simulate_tree.Options(
                partition=str(cells), out=str(target), locations_per_cell=1, height_px=60, width_px=120, processes=1
            )
        ),
        "import_images": lambda target: import_images.main(
            import_images.Options(source=str(photos), out=str(target), partition=str(cells))
        ),
        "render": lambda target: render.main(render.Options(run_dir=str(run), out=str(target))),
    }


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns all files of a folder, those that hold the time by their names alone."""
    return {
        str(path.relative_to(folder)): b"" if path.name in _TIMED else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _inside(cells_path: pathlib.Path, number: int) -> tuple[float, float]:
    """Returns a place in the partition, (lat_deg, lon_deg)."""
    centroids = partition.read(cells_path).centroids
    lat_deg, lon_deg = centroids[number % len(centroids)].tolist()
    return lat_deg + number * 1e-4, lon_deg

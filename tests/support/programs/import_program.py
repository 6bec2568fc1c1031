"""The import program, and the folders and tables that its tests import."""

import pathlib

import drawn_photos
import drawn_trees
import pytest

from geods.geo import partition
from tools import import_images

PLACES = [(40.5, -100.25), (41.5, -97.25), (31.5, -115.25)]


@pytest.fixture
def cells_path(tmp_path) -> pathlib.Path:
    partition.write(drawn_trees.cells(), tmp_path / "cells.geojson")
    return tmp_path / "cells.geojson"


@pytest.fixture
def photos(tmp_path) -> pathlib.Path:
    """Three photographs with GPS, at two places."""
    folder = tmp_path / "photos"
    taken = {0x9003: "2012:05:31 10:00:00"}
    east = {16: "M", 17: drawn_photos.rational(90)}
    drawn_photos.write(folder / "one.jpg", 1, *PLACES[0], gps=east, exif=taken, tags={0x013B: "Ada"})
    drawn_photos.write(folder / "two.jpg", 2, *PLACES[0], exif=taken, tags={0x0112: 6})
    drawn_photos.write(folder / "in" / "three.jpg", 3, *PLACES[1])
    return folder


@pytest.fixture
def table(tmp_path) -> pathlib.Path:
    """A table of three images that have no GPS."""
    (tmp_path / "images" / "00").mkdir(parents=True)
    lines = ["id,lat,lon,heading,date"]
    for number, (lat_deg, lon_deg) in enumerate(PLACES):
        (tmp_path / "images" / "00" / f"{number}.jpg").write_bytes(drawn_trees.jpeg(number))
        lines.append(f"{number},{lat_deg},{lon_deg},{number * 90},2012-05")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(source, out, cells_path, **options) -> None:
    import_images.main(
        import_images.Options(source=str(source), out=str(out), partition=str(cells_path), **options)
    )  # fmt: skip

"""Imagery trees drawn from a seed, for tests: real JPEGs, no photograph."""

import io
import pathlib
from collections.abc import Iterable

import numpy as np
import shapely
from PIL import Image

from geods.geo import partition

HEADINGS = (0, 90, 180)
DATE = "2012-05"


def jpeg(seed: int, height_px: int = 24, width_px: int = 32) -> bytes:
    """Returns a JPEG of soft coloured patches; another seed is another picture."""
    rng = np.random.default_rng(seed)
    patches = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8))
    return encoded(patches.resize((width_px, height_px)), "JPEG")


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def png() -> bytes:
    return encoded(Image.new("RGB", (32, 24), "green"), "PNG")


def gif() -> bytes:
    return encoded(Image.new("RGB", (32, 24), "green"), "GIF")


def location_ids(count: int) -> list[str]:
    """Returns ids in the box of `cells`; a longer list starts with the shorter one."""
    coords = np.random.default_rng(7).uniform((30, -120), (48, -70), (count, 2)).round(6)
    return [f"{lat_deg},{lon_deg}" for lat_deg, lon_deg in coords.tolist()]


def write(root: pathlib.Path, ids: Iterable[str], cell: int = 0, headings: Iterable[float] = HEADINGS) -> pathlib.Path:
    """Writes a standard tree, all locations in one cell, every image different."""
    seed = 0
    for location_id in ids:
        folder = root / str(cell) / location_id
        folder.mkdir(parents=True)
        for heading in headings:
            (folder / f"{heading}_{DATE}.jpg").write_bytes(jpeg(seed))
            seed += 1
    return root


def cells() -> partition.Partition:
    """Returns 15 boxes of 6 x 10 degrees over the box of `location_ids`.

    Cell 0 is the south-western one.
    """
    corners = [(lat, lon) for lat in range(30, 48, 6) for lon in range(-120, -70, 10)]
    return partition.Partition(tuple(shapely.box(lon, lat, lon + 10, lat + 6) for lat, lon in corners))

"""A partition as an SVG map, and the page around it.

    drawn = svg_map.SvgMap(cells, coords)
    svg_map.page(folder / "map.html", cells=drawn.cells, data=svg_map.json_in_html(drawn.units))

A page is NAME.html with the style and script NAME.css and NAME.js beside it; assets/pan_zoom.css and pan_zoom.js, which
move and zoom the map, come before them.
"""

import base64
import hashlib
import json
import math
import pathlib
import string
from typing import Any

import numpy as np

from geods.geo import geometry, partition, polygons
from trainers.plots import projection

_ASSETS = pathlib.Path(__file__).parent / "assets"
# A bend of this share of the map's size is a quarter of a pixel on a screen of 2,000 pixels.
_TOLERANCE = 1 / 8000
_COLOURS = {
    "true_colour": projection.TRUE_COLOUR,
    "predicted_colour": projection.PREDICTED_COLOUR,
    "line_colour": projection.LINE_COLOUR,
}


class SvgMap:
    """Cells as SVG paths, y to the south, in whole units.

    A unit is a power of ten of degrees at the centre.

    Args:
        cells: The partition.
        coords: `[n, 2]` (lat, lon) degrees of points to draw. Where they and the cells suit it the projection is
            equal-area, else parallels and meridians are straight.

    Attributes:
        atlas: Layout of the cells.
        cells: A `path` element for each.
        units: km_per_unit and km_per_mile, for scale bars.
    """

    def __init__(self, cells: partition.Partition, coords: np.ndarray) -> None:
        self.atlas = projection.Atlas(cells)
        self._equal_area = self.atlas.reaches(coords)
        shapes, self._unit_deg = self.atlas.plane_shapes(_TOLERANCE, equal_area=self._equal_area)
        self.cells = "".join(f'<path d="{_path_data(shape, self._unit_deg)}"/>' for shape in shapes)
        km_per_unit = self._unit_deg * math.radians(1) * geometry.EARTH_RADIUS_KM
        self.units = {"km_per_unit": km_per_unit, "km_per_mile": geometry.KM_PER_MILE}

    def to_units(self, coords: np.ndarray) -> np.ndarray:
        """Returns points `[n, 2]` int64 of coords `[n, 2]` beside the shapes."""
        plane = self.atlas.plane(coords, equal_area=self._equal_area)
        return np.round(plane / self._unit_deg * (1, -1)).astype(np.int64)

    def to_coords(self, points: np.ndarray) -> np.ndarray:
        """Returns coords `[n, 2]` of points `[n, 2]`, the reverse of `to_units`."""
        plane = np.asarray(points, np.float64) * (self._unit_deg, -self._unit_deg)
        return self.atlas.unprojected(plane, equal_area=self._equal_area)


def page(template: pathlib.Path, **values: str) -> str:
    """Returns a page that holds its style and script, and loads nothing.

    Args:
        template: NAME.html, with $policy, $style, $js and the names of `values`.
        values: HTML by name.
    """
    style, script = style_and_script(template)
    policy = f"default-src 'none'; img-src data:; script-src {_hash_source(script)}; style-src {_hash_source(style)}"
    return filled(template, policy=policy, style=style, js=script, **values)


def filled(template: pathlib.Path, **values: str) -> str:
    """Returns a page with the buttons and the scale of its map.

    Args:
        template: NAME.html, with $controls and the names of `values`.
        values: HTML by name.
    """
    controls = (_ASSETS / "pan_zoom.html").read_text(encoding="utf-8").rstrip()
    return string.Template(template.read_text(encoding="utf-8")).substitute(controls=controls, **values)


def style_and_script(template: pathlib.Path) -> tuple[str, str]:
    """Returns the style and the script of a page, after those of the map."""
    style, script = (
        "".join(path.with_suffix(suffix).read_text(encoding="utf-8") for path in (_ASSETS / "pan_zoom", template))
        for suffix in (".css", ".js")
    )
    return string.Template(style).substitute(_COLOURS), script


def json_in_html(data: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """Returns JSON that cannot close its script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _path_data(shape: polygons.Shape, unit_deg: float) -> str:
    """Returns the path data of a shape.

    Equal vertices of two cells are rounded to equal numbers, so borders that are shared stay shared.
    """
    rings = (ring for piece in polygons.parts(shape) for ring in (piece.exterior, *piece.interiors))
    return "".join(_ring_data(np.asarray(ring.coords), unit_deg) for ring in rings)


def _ring_data(ring: np.ndarray, unit_deg: float) -> str:
    """Returns the path data of a closed ring `[n, 2]`; "" if it rounds to a line."""
    places = np.round(ring[:-1] / unit_deg * (1, -1)).astype(np.int64)
    moves = np.diff(places, axis=0)
    moves = moves[moves.any(axis=1)]
    if len(moves) < 2:
        return ""
    (x, y), steps = places[0].tolist(), " ".join(map(str, moves.ravel().tolist()))
    return f"M{x} {y}l{steps}z".replace(" -", "-")


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

"""A self-contained HTML page: cells, up to 200 predictions, and their views.

    files.write_text("map.html", map_page.render(cells, predictions, selected=0))

The map is SVG in the projection of the printed figure, with a script of ours: no tiles and no network request, which
the page's content security policy forbids. The report's 243 cells and 200 predictions take about 270 kB, 10,000 cells
1.1 MB, and three views of each of 75 locations 1.3 MB more.
"""

import base64
import hashlib
import html
import json
import math
import pathlib
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.geo import geometry, partition, polygons
from trainers.plots import projection, thumbnails
from trainers.runs import predictions

MAX_ENTRIES = 200
# With four views each of about 3 kB, their thumbnails take 1.2 MB of the page.
MAX_ENTRIES_WITH_VIEWS = 75

_ASSETS = pathlib.Path(__file__).parent / "assets"
# A probability is 16 bits, 2.7 letters in base64: 200 predictions of 1,000 cells, or 20 of 10,000, stay below 550 kB.
_MAX_PROBABILITIES = 200_000
_PROBABILITY_STEPS = 65_535
# A bend of this share of the map's size is a quarter of a pixel on a screen of 2,000 pixels.
_TOLERANCE = 1 / 8000
_COLOURS = {
    "true_colour": projection.TRUE_COLOUR,
    "predicted_colour": projection.PREDICTED_COLOUR,
    "line_colour": projection.LINE_COLOUR,
}

Views = Callable[[Sequence[str]], Mapping[str, Sequence[thumbnails.View]]]


def render(
    cells: partition.Partition,
    entries: Sequence[predictions.Prediction],
    selected: int = 0,
    title: str = "Predicted locations",
    views: Views | None = None,
) -> str:
    """Returns the page.

    Args:
        cells: The partition.
        entries: Predictions on it. Of more than fit into the page, it takes some from the best to the worst.
        selected: Index of the entry to show first; it is always taken.
        title: Heading of the page.
        views: Returns the views of locations by their ids; None leaves images out.

    Raises:
        RunError: If there is no entry, no such index, or an entry's probabilities cannot be drawn.
        ImageError: If a view cannot be decoded.
    """
    if not 0 <= selected < len(entries):
        raise errors.RunError(f"entry {selected} of {len(entries)} cannot be shown.", "give one of the predictions")
    rows = chosen(entries, selected, len(cells), MAX_ENTRIES_WITH_VIEWS if views else MAX_ENTRIES)
    shown = [entries[row] for row in rows]
    images = views([entry.location_id for entry in shown]) if views else {}
    shapes, data = _data(cells, shown, images)
    script, style = _asset("map.js"), string.Template(_asset("map.css")).substitute(_COLOURS)
    return string.Template(_asset("map.html")).substitute(
        policy=_policy(script, style),
        title=html.escape(title),
        style=style,
        cells="".join(f'<path d="{shape}"/>' for shape in shapes),
        data=_json_in_html({**data, "selected": rows.index(selected)}),
        js=script,
    )


def chosen(entries: Sequence[predictions.Prediction], selected: int, cells: int, most: int = MAX_ENTRIES) -> list[int]:
    """Returns at most `most` rows of entries, the best first, with `selected`."""
    room = max(1, min(most, _MAX_PROBABILITIES // cells))
    order = predictions.by_distance(entries)
    if len(order) <= room:
        return list(order.tolist())
    ranks = {int(rank) for rank in np.linspace(0, len(order) - 1, room)}
    at = int(np.flatnonzero(order == selected)[0])
    nearest = min(ranks, key=lambda rank: abs(rank - at))
    return [int(order[rank]) for rank in sorted(ranks - {nearest} | {at})]


def _data(
    cells: partition.Partition,
    entries: Sequence[predictions.Prediction],
    images: Mapping[str, Sequence[thumbnails.View]],
) -> tuple[list[str], dict[str, Any]]:
    """Returns the cells as SVG paths, and the data of map.js."""
    atlas = projection.Atlas(cells)
    lines = [atlas.great_circle(np.array(entry.truth), np.array(entry.predicted)) for entry in entries]
    equal_area = atlas.reaches(np.concatenate(lines))
    shapes, unit_deg = atlas.plane_shapes(_TOLERANCE, equal_area=equal_area)

    def to_units(places: np.ndarray) -> np.ndarray:
        return np.round(atlas.plane(places, equal_area=equal_area) / unit_deg * (1, -1)).astype(np.int64)

    return [_svg_path(shape, unit_deg) for shape in shapes], {
        "km_per_unit": unit_deg * math.radians(1) * geometry.EARTH_RADIUS_KM,
        "km_per_mile": geometry.KM_PER_MILE,
        "names": cells.names,
        "ramp": projection.REDS,
        "dark_ramp": projection.DARK_REDS,
        "probability_steps": _PROBABILITY_STEPS,
        "entries": [
            _entry(entry, to_units(line), images.get(entry.location_id, ()), len(cells))
            for entry, line in zip(entries, lines, strict=True)
        ],
    }


def _entry(
    entry: predictions.Prediction, line: np.ndarray, views: Sequence[thumbnails.View], cells: int
) -> dict[str, Any]:
    """Returns one prediction and its great circle `[n, 2]` for map.js."""
    projection.rescaled(entry.probabilities, cells)
    steps = np.round(np.clip(np.asarray(entry.probabilities, np.float64), 0, 1) * _PROBABILITY_STEPS).astype("<u2")
    return {
        "name": entry.location_id,
        "true": entry.truth,
        "predicted": entry.predicted,
        "distance": projection.distance_text(entry.distance_km),
        "line": line.tolist(),
        "probabilities": base64.b64encode(steps.tobytes()).decode("ascii"),
        "views": [(view.caption, thumbnails.data_url(view)) for view in views],
    }


def _svg_path(shape: polygons.Shape, unit_deg: float) -> str:
    """Returns the SVG path data of a shape, y to the south, in units of `unit_deg`.

    Equal vertices of two cells are rounded to equal numbers, so borders that are shared stay shared.
    """
    rings = (ring for piece in polygons.parts(shape) for ring in (piece.exterior, *piece.interiors))
    return "".join(_svg_ring(np.asarray(ring.coords), unit_deg) for ring in rings)


def _svg_ring(ring: np.ndarray, unit_deg: float) -> str:
    """Returns the path data of a closed ring `[n, 2]`; "" if it rounds to a line."""
    places = np.round(ring[:-1] / unit_deg * (1, -1)).astype(np.int64)
    moves = np.diff(places, axis=0)
    moves = moves[moves.any(axis=1)]
    if len(moves) < 2:
        return ""
    (x, y), steps = places[0].tolist(), " ".join(map(str, moves.ravel().tolist()))
    return f"M{x} {y}l{steps}z".replace(" -", "-")


def _policy(script: str, style: str) -> str:
    """Returns a content security policy for this script and style alone."""
    return f"default-src 'none'; img-src data:; script-src {_hash_source(script)}; style-src {_hash_source(style)}"


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json_in_html(data: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """Returns JSON that cannot close its script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")

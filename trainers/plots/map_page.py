"""One self-contained HTML page: the partition, up to 200 predictions on it, and a chooser to step through them.

    files.write_text("map.html", map_page.render(cells, predictions, selected=0))

The page holds Leaflet 1.9.4, draws without any tiles, and makes no network request: its content security policy forbids
all. For the report's 243 cells and 200 predictions it has about 500 kB.
"""

import base64
import hashlib
import html
import json
import math
import pathlib
import re
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from geods import errors
from geods.geo import partition, polygons
from trainers.plots import projection
from trainers.runs import predictions

MAX_ENTRIES = 200

_ASSETS = pathlib.Path(__file__).parent / "assets"
# A probability is 16 bits, 2.7 letters in base64: 200 predictions of 1,000 cells, or 40 of 5,000, stay below 550 kB.
_MAX_PROBABILITIES = 200_000
_PROBABILITY_STEPS = 65_535
# A bend of this share of the map's size is a quarter of a pixel on a screen of 2,000 pixels.
_TOLERANCE = 1 / 8000
_LINE_DIGITS = 3


def render(
    cells: partition.Partition,
    entries: Sequence[predictions.Prediction],
    selected: int = 0,
    title: str = "Predicted locations",
) -> str:
    """Returns the page.

    Args:
        cells: The partition.
        entries: Predictions on it. Of more than the page can hold, it takes some from the best to the worst.
        selected: Index of the entry to show first; it is always taken.
        title: Heading of the page.

    Raises:
        RunError: If there is no entry, no such index, or an entry's probabilities cannot be drawn.
    """
    if not 0 <= selected < len(entries):
        raise errors.RunError(f"entry {selected} of {len(entries)} cannot be shown.", "give one of the predictions")
    rows = chosen(entries, selected, len(cells))
    data = _data(cells, [entries[row] for row in rows], rows.index(selected))
    leaflet_js, script = _asset("leaflet/leaflet.js"), _asset("map.js")
    # Leaflet's pictures of its layer switch and pins are not used here; without them the page names no file.
    leaflet_css = re.sub(r"url\([^)]*\)", "none", _asset("leaflet/leaflet.css"))
    css = string.Template(_asset("map.css")).substitute(
        true_colour=projection.TRUE_COLOUR,
        predicted_colour=projection.PREDICTED_COLOUR,
        line_colour=projection.LINE_COLOUR,
    )
    style = f"\n{leaflet_css}\n{css}\n"
    return string.Template(_asset("map.html")).substitute(
        policy=_policy([leaflet_js, script], style),
        title=html.escape(title),
        leaflet_licence=_asset("leaflet/LICENSE"),
        style=style,
        data=_json_in_html(data),
        leaflet_js=leaflet_js,
        js=script,
    )


def chosen(entries: Sequence[predictions.Prediction], selected: int, cells: int) -> list[int]:
    """Returns the indices of the entries that a page shows: at most 200, the best first, `selected` among them."""
    room = max(1, min(MAX_ENTRIES, _MAX_PROBABILITIES // cells))
    order = predictions.by_distance(entries)
    if len(order) <= room:
        return list(order.tolist())
    ranks = {int(rank) for rank in np.linspace(0, len(order) - 1, room)}
    at = int(np.flatnonzero(order == selected)[0])
    nearest = min(ranks, key=lambda rank: abs(rank - at))
    return [int(order[rank]) for rank in sorted(ranks - {nearest} | {at})]


def _data(cells: partition.Partition, entries: Sequence[predictions.Prediction], selected: int) -> dict[str, Any]:
    """Returns what map.js draws."""
    atlas = projection.Atlas(cells)
    west, south, east, north = shapely.total_bounds(np.array(atlas.shapes))
    tolerance_deg = max(east - west, north - south) * _TOLERANCE
    unit_deg = 10.0 ** math.floor(math.log10(tolerance_deg))
    shapes = projection.simplified(atlas.shapes, tolerance_deg)
    return {
        "unit_deg": unit_deg,
        "cells": [_rings(shape, unit_deg) for shape in shapes],
        "reds": projection.REDS,
        "line_colour": projection.LINE_COLOUR,
        "probability_steps": _PROBABILITY_STEPS,
        "selected": selected,
        "entries": [_entry(entry, atlas, len(cells)) for entry in entries],
    }


def _entry(entry: predictions.Prediction, atlas: projection.Atlas, cells: int) -> dict[str, Any]:
    """Returns one prediction as map.js reads it."""
    projection.rescaled(entry.probabilities, cells)
    line = atlas.great_circle(np.array(entry.truth), np.array(entry.predicted))
    steps = np.round(np.clip(np.asarray(entry.probabilities, np.float64), 0, 1) * _PROBABILITY_STEPS).astype("<u2")
    return {
        "name": entry.location_id,
        "truth": entry.truth,
        "predicted": entry.predicted,
        "distance": projection.distance_text(entry.distance_km),
        "line": np.round(line, _LINE_DIGITS).tolist(),
        "probabilities": base64.b64encode(steps.tobytes()).decode("ascii"),
    }


def _rings(shape: polygons.Shape, unit_deg: float) -> list[list[list[int]]]:
    """Returns polygons of rings, each ring as [lon, lat, step of lon, step of lat, ...] in units of `unit_deg`.

    Equal vertices of two cells are rounded to equal numbers, so borders that are shared stay shared.
    """
    pieces = []
    for piece in polygons.parts(shape):
        rings = [_steps(np.asarray(ring.coords), unit_deg) for ring in (piece.exterior, *piece.interiors)]
        if rings[0]:
            pieces.append([ring for ring in rings if ring])
    return pieces


def _steps(ring: np.ndarray, unit_deg: float) -> list[int]:
    """Returns the vertices `[n, 2]` of a closed ring as steps, without the last one; none if it is now but a line."""
    places = np.round(ring[:-1] / unit_deg).astype(np.int64)
    moves = np.diff(places, axis=0, prepend=np.zeros((1, 2), np.int64))
    moves = np.concatenate([moves[:1], moves[1:][moves[1:].any(axis=1)]])
    return moves.ravel().tolist() if len(moves) >= 3 else []


def _policy(scripts: Sequence[str], style: str) -> str:
    """Returns a content security policy under which these scripts and this style run, and nothing else loads."""
    hashes = " ".join(map(_hash_source, scripts))
    return f"default-src 'none'; img-src data:; script-src {hashes}; style-src {_hash_source(style)}"


def _hash_source(text: str) -> str:
    """Returns how a content security policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json_in_html(data: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """Returns JSON that cannot end the script element it stands in, whatever the names in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    """Returns the text of a file in trainers/assets."""
    return (_ASSETS / name).read_text(encoding="utf-8")

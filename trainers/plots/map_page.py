"""A self-contained HTML page: cells, up to 200 predictions, and their views.

    files.write_text("map.html", map_page.render(cells, predictions, selected=0))

The map is SVG in the projection of the printed figure, with a script of ours: no tiles and no network request, which
the page's content security policy forbids. The report's 243 cells and 200 predictions take about 270 kB, 10,000 cells
1.1 MB, and three views of each of 75 locations 1.3 MB more.
"""

import base64
import html
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from geods import errors
from geods.geo import partition
from trainers.plots import projection, svg_map, thumbnails
from trainers.runs import predictions

MAX_ENTRIES = 200
# With four views each of about 3 kB, their thumbnails take 1.2 MB of the page.
MAX_ENTRIES_WITH_VIEWS = 75

_TEMPLATE = pathlib.Path(__file__).parent / "assets" / "map.html"
# A probability is 16 bits, 2.7 letters in base64: 200 predictions of 1,000 cells, or 20 of 10,000, stay below 550 kB.
_MAX_PROBABILITIES = 200_000
_PROBABILITY_STEPS = 65_535

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
    drawn, data = _data(cells, shown, images)
    return svg_map.page(
        _TEMPLATE,
        title=html.escape(title),
        cells=drawn.cells,
        data=svg_map.json_in_html({**data, "selected": rows.index(selected)}),
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
) -> tuple[svg_map.SvgMap, dict[str, Any]]:
    """Returns the map, and the data of map.js."""
    lines = [
        projection.Atlas(cells).great_circle(np.array(entry.truth), np.array(entry.predicted)) for entry in entries
    ]
    drawn = svg_map.SvgMap(cells, np.concatenate(lines))
    return drawn, {
        **drawn.units,
        "names": cells.names,
        "ramp": projection.REDS,
        "dark_ramp": projection.DARK_REDS,
        "probability_steps": _PROBABILITY_STEPS,
        "entries": [
            _entry(entry, drawn.to_units(line), images.get(entry.location_id, ()), len(cells))
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
        "views": [(view.caption, thumbnails.data_url(view)) for view in thumbnails.some(views)],
    }

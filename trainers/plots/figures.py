"""Figures of the course report: predictions and errors on the map, and bars.

    files.write_bytes("map.png", figures.to_png(figures.location_map(cells, probabilities, truth, predicted)))

They are matplotlib Figure objects made without pyplot, so a training loop may draw them in any thread and nothing keeps
them alive.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from matplotlib import cm, collections, colors, path, patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geods import errors
from geods.geo import geometry, partition, polygons
from trainers.plots import projection
from trainers.runs import distance_metrics

_WIDTH_IN, _TOP_IN, _BOTTOM_IN, _SIDE_IN = 10.0, 0.45, 0.75, 0.25
_DPI = 150
# More dots only cover one another: 100,000 of them took 5 s and 63 MB to draw.
_ERRORS_DRAWN = 2000
# More names cover one another and the points.
_NAMES_DRAWN = 3
_OF_POINTS = ("True point", "Predicted point")
_OF_CENTROIDS = ("True centroid", "Predicted centroid")
_PALE, _BORDER, _INK, _BAR = "#f2f0ed", "#9a9a9a", "#222222", "#8fbbdc"

Mapper = Callable[[np.ndarray], np.ndarray]


def location_map(
    cells: partition.Partition,
    probabilities: npt.ArrayLike,
    truth: npt.ArrayLike,
    predicted: npt.ArrayLike,
    title: str = "",
    minmax: bool = False,
) -> Figure:
    """Draws one prediction (the report's Figure 7).

    Every cell is as red as its share of the highest probability; the true point is green, the predicted point yellow,
    and the great circle between them blue, with its length. Of cells with names the most probable ones show them.

    Args:
        cells: The partition.
        probabilities: `[cells]`, from 0 to 1.
        truth: (lat, lon) of the true point, degrees.
        predicted: (lat, lon) of the predicted point, degrees.
        title: Written above the map.
        minmax: Whether to draw as the report did: white at the lowest probability and not at 0, from centroid to
            centroid, which the caller gives as truth and prediction.

    Raises:
        RunError: If `probabilities` are not one number from 0 for each cell, with one above 0.
        CoordinateError: If a point is no place on Earth.
    """
    weights, highest = projection.rescaled(probabilities, len(cells))
    lowest = float(weights.min()) if minmax else 0.0
    weights = (weights - lowest) / max(1 - lowest, np.finfo(float).tiny)
    ends = geometry.check_coords(np.array([truth, predicted]), "truth and predicted")
    atlas = projection.Atlas(cells)
    line = atlas.great_circle(ends[0], ends[1])
    figure, axes, to_paper = _map_axes(atlas, line, title)
    shading = colors.LinearSegmentedColormap.from_list("reds", projection.REDS)
    _draw_cells(axes, atlas, to_paper, shading(weights))
    if cells.names:
        best = np.argsort(-weights, kind="stable")[:_NAMES_DRAWN]
        for cell, (x, y) in zip(best.tolist(), to_paper(atlas.beside(cells.centroids[best])), strict=True):
            _write_name(axes, (x, y), cells.names[cell])
    what = _OF_CENTROIDS if minmax else _OF_POINTS
    _draw_line(axes, to_paper(line), projection.distance_text(float(geometry.haversine_km(*ends))), what)
    _legend(figure, axes)
    _bar(
        figure,
        cm.ScalarMappable(colors.Normalize(lowest * highest, highest), shading),
        "Probability of the cell",
        "{:.3g} %",
        100,
    )
    return figure


def error_map(cells: partition.Partition, truths: npt.ArrayLike, predictions: npt.ArrayLike) -> Figure:
    """Draws the errors of all locations.

    A dot at every true point, coloured by its error, and a faint line to the predicted point.

    Of more than 2,000 points as many are drawn, evenly spaced in their order.

    Args:
        cells: The partition.
        truths: `[n, 2]` (lat, lon) degrees.
        predictions: `[n, 2]`, likewise.

    Raises:
        CoordinateError: If a point is no place on Earth.
    """
    starts = geometry.check_coords(np.reshape(np.asarray(truths, dtype=np.float64), (-1, 2)), "truths")
    ends = geometry.check_coords(np.reshape(np.asarray(predictions, dtype=np.float64), (-1, 2)), "predictions")
    miles = geometry.haversine_km(starts, ends) / geometry.KM_PER_MILE
    atlas = projection.Atlas(cells)
    mean = f"mean error {miles.mean():,.0f} miles" if miles.size else "none"
    title = f"{len(miles):,} locations: {mean}"
    if len(miles) > _ERRORS_DRAWN:
        title += f"; {_ERRORS_DRAWN:,} of them drawn"
        drawn = np.arange(_ERRORS_DRAWN) * len(miles) // _ERRORS_DRAWN
        starts, ends, miles = starts[drawn], ends[drawn], miles[drawn]
    figure, axes, to_paper = _map_axes(atlas, atlas.beside(np.concatenate([starts, ends])), title)
    _draw_cells(axes, atlas, to_paper, _PALE)
    lines = [to_paper(atlas.great_circle(start, end)) for start, end in zip(starts, ends, strict=True)]
    axes.add_collection(collections.LineCollection(lines, colors=_INK, linewidths=0.6, alpha=0.3, zorder=3))
    scale = cm.ScalarMappable(colors.Normalize(0, max(1.0, miles.max(initial=0))), "viridis_r")
    x, y = to_paper(atlas.beside(starts)).T
    axes.scatter(x, y, c=scale.to_rgba(miles), s=22, edgecolors=_INK, linewidths=0.4, zorder=4)
    _bar(figure, scale, "Distance from the true point", "{:,.0f} miles", 1)
    return figure


def comparison(
    names: Sequence[str],
    mean_miles: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    constant_miles: Sequence[float],
    human_miles: float = distance_metrics.HUMAN_MEAN_MILES,
    metric: str = "Mean distance from the true point",
) -> Figure:
    """Draws the mean error of runs as bars (the report's Figure 9).

    Args:
        names: One a run.
        mean_miles: `[runs]`.
        intervals: `[runs]` of (low, high) miles, drawn as error bars; NaN for none.
        constant_miles: `[runs]`, what the best constant guess gets on the same locations.
        human_miles: Mean of human players; 0 leaves them out.
        metric: Name of the metric.

    Raises:
        RunError: If there is no run, or the four are not equally long.
    """
    if not names or not len(names) == len(mean_miles) == len(intervals) == len(constant_miles):
        lengths = f"{len(names)}, {len(mean_miles)}, {len(intervals)} and {len(constant_miles)}"
        raise errors.RunError(f"{lengths} names, means, intervals and constant guesses cannot be compared.")
    figure = Figure(figsize=(max(6.0, 2.6 + 1.3 * len(names)), 5.2), layout="constrained")
    axes = figure.add_subplot()
    _draw_bars(axes, np.asarray(mean_miles, dtype=np.float64), np.asarray(intervals, dtype=np.float64))
    at = np.arange(len(names))
    same = len({round(miles) for miles in constant_miles}) == 1
    label = f"Best constant guess ({constant_miles[0]:,.0f})" if same else "Best constant guess"
    axes.hlines(constant_miles, at - 0.5, at + 0.5, colors=_INK, linestyles="--", label=label)
    if human_miles:
        label = f"Human players ({human_miles:,.0f})"
        axes.axhline(human_miles, color=projection.TRUE_COLOUR, linestyle=":", linewidth=2, label=label)
    turned: dict[str, Any] = (
        {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 12 else {}
    )
    axes.set_xticks(at, labels=names, parse_math=False, **turned)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(0, 1.1 * max(human_miles, np.nanmax([*mean_miles, *np.ravel(intervals)]), np.max(constant_miles)))
    axes.set_ylabel(f"{metric} (miles)")
    certain = "" if np.isnan(intervals).any() else ", with 95 % intervals"
    axes.set_title(f"Mean error of each run{certain}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def risk_curve(risk: Sequence[tuple[float, float]]) -> Figure:
    """Draws the mean error of the most confident predictions.

    Args:
        risk: (share of locations, their mean miles), as `reliability.risk_by_coverage` returns it.
    """
    shares, miles = np.array(risk).T
    figure = Figure(figsize=(6.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(100 * shares, miles, marker="o", color=projection.LINE_COLOUR)
    axes.set(xlabel="Most confident locations (%)", ylabel="Mean distance (miles)", ylim=(0, None), xlim=(0, 102))
    axes.set_title("Error by confidence", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def sweep(curves: Mapping[str, Sequence[tuple[float, Mapping[str, Any]]]], base: Mapping[str, Any]) -> Figure:
    """Draws the mean error over each hyper-parameter, one panel each.

    Args:
        curves: For the name of each the values and their metrics.json.
        base: metrics.json with none changed, drawn as a line.
    """
    figure = Figure(figsize=(4.2 * len(curves), 4.2), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (name, points) in zip(panels, curves.items(), strict=True):
        values = [value for value, _ in points]
        means = np.array([metrics["mean_miles"] for _, metrics in points])
        intervals = np.array([metrics["intervals"]["mean_miles"] for _, metrics in points])
        around = np.abs(intervals.T - means)
        axes.errorbar(values, means, yerr=around, marker="o", capsize=4, color=projection.LINE_COLOUR)
        axes.axhline(base["mean_miles"], color=_INK, linestyle="--", linewidth=1, label="None changed")
        axes.set(xlabel=name.capitalize(), xticks=values)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="Mean distance (miles)", ylim=(0, None))
    panels[0].legend(frameon=False)
    return figure


def to_png(figure: Figure) -> bytes:
    """Returns a figure as PNG bytes; equal figures give equal bytes."""
    content = io.BytesIO()
    # Without this matplotlib writes its version into the file.
    figure.savefig(content, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return content.getvalue()


def _map_axes(atlas: projection.Atlas, coords: np.ndarray, title: str) -> tuple[Figure, Axes, Mapper]:
    """Returns a figure with the map's height, its axes, and a projection.

    The axes hold the shapes and `coords` `[n, 2]`.
    """
    equal_area = atlas.reaches(coords)

    def to_paper(places: np.ndarray) -> np.ndarray:
        return atlas.plane(places, equal_area=equal_area)

    outline = shapely.get_coordinates(np.array(atlas.shapes))[:, ::-1]
    paper = to_paper(np.concatenate([outline, coords]))
    low, high = paper.min(axis=0), paper.max(axis=0)
    room = 0.025 * (high - low).max()
    width, height = np.maximum(high - low, 1e-9) + 2 * room
    map_width_in = _WIDTH_IN - 2 * _SIDE_IN
    map_height_in = float(np.clip(map_width_in * height / width, 3, 10))
    total_in = map_height_in + _TOP_IN + _BOTTOM_IN
    figure = Figure(figsize=(_WIDTH_IN, total_in))
    axes = figure.add_axes(
        (_SIDE_IN / _WIDTH_IN, _BOTTOM_IN / total_in, map_width_in / _WIDTH_IN, map_height_in / total_in)
    )
    axes.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room), aspect="equal")
    axes.set_axis_off()
    figure.text(_SIDE_IN / _WIDTH_IN, 1 - 0.2 / total_in, title, fontsize=14, va="top", color=_INK, parse_math=False)
    return figure, axes, to_paper


def _draw_cells(axes: Axes, atlas: projection.Atlas, to_paper: Mapper, faces: npt.ArrayLike | str) -> None:
    """Draws every cell as one path."""
    shapes = [shapely.segmentize(shape, projection.PIECE_DEG) for shape in atlas.shapes]
    outlines = [path.Path.make_compound_path(*_rings(shape, to_paper)) for shape in shapes]
    thin = 0.35 if len(shapes) <= 1000 else 0.1
    axes.add_collection(
        collections.PathCollection(outlines, facecolors=faces, edgecolors=_BORDER, linewidths=thin, zorder=1)
    )


def _rings(shape: polygons.Shape, to_paper: Mapper) -> list[path.Path]:
    """Returns the rings of a shape as closed paths, holes reversed."""
    rings = [ring for piece in polygons.parts(shape) for ring in (piece.exterior, *piece.interiors)]
    return [path.Path(to_paper(np.asarray(ring.coords)[:, 1::-1]), closed=True) for ring in rings]


def _write_name(axes: Axes, place: tuple[float, float], name: str) -> None:
    """Writes a cell's name at a place of the map, readable on any red."""
    rim = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "color": _INK, "zorder": 2.5}
    axes.annotate(name, place, path_effects=rim, parse_math=False, annotation_clip=True, **style)


def _draw_line(axes: Axes, line: np.ndarray, text: str, labels: tuple[str, str]) -> None:
    """Draws the great circle `line` `[n, 2]`, its two ends and its length."""
    axes.plot(*line.T, color="white", linewidth=4, zorder=3, solid_capstyle="round")
    axes.plot(*line.T, color=projection.LINE_COLOUR, linewidth=2, zorder=4, solid_capstyle="round")
    style: dict[str, Any] = {
        "linestyle": "none",
        "clip_on": False,
        "markeredgecolor": _INK,
        "markeredgewidth": 1.2,
        "zorder": 5,
    }
    axes.plot(*line[0], marker="o", color=projection.TRUE_COLOUR, markersize=11, label=labels[0], **style)
    axes.plot(*line[-1], marker="D", color=projection.PREDICTED_COLOUR, markersize=9, label=labels[1], **style)
    _write_on_line(axes, line, text)


def _write_on_line(axes: Axes, line: np.ndarray, text: str) -> None:
    """Writes at the middle of a line, or above it where it is short."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    across, up = np.abs(line[-1] - line[0])
    # The text is about a fifth of the map wide.
    short = across < 0.28 * (right - left) and up < 0.12 * (top - bottom)
    x, y = (line[[0, -1], 0].mean(), line[[0, -1], 1].max()) if short else line[len(line) // 2]
    x = np.clip(x, left + 0.1 * (right - left), right - 0.1 * (right - left))
    frame = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": projection.LINE_COLOUR, "alpha": 0.92}
    offset = (0, 24 if short else 0)
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 12, "color": _INK, "bbox": frame, "zorder": 6}
    axes.annotate(text, (x, y), offset, textcoords="offset points", **style)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    handles.append(axes.lines[1])
    labels.append("Distance (great circle)")
    corner = (_SIDE_IN / _WIDTH_IN, 0.12 / figure.get_figheight())
    figure.legend(handles, labels, loc="lower left", bbox_to_anchor=corner, ncols=3, frameon=False, fontsize=11)


def _bar(figure: Figure, scale: cm.ScalarMappable, label: str, form: str, factor: float) -> None:
    """Draws a horizontal colour scale below the map."""
    height_in = figure.get_figheight()
    place = figure.add_axes((0.64, 0.42 / height_in, 0.33, 0.13 / height_in))
    bar = figure.colorbar(scale, cax=place, orientation="horizontal")
    ticks = np.linspace(*scale.get_clim(), 3).tolist()
    bar.set_ticks(ticks, labels=[form.format(tick * factor) for tick in ticks])
    # Centred, the outer two would stick out beyond the picture.
    place.get_xticklabels()[0].set_horizontalalignment("left")
    place.get_xticklabels()[-1].set_horizontalalignment("right")
    place.set_title(label, fontsize=10, loc="left", pad=3)
    bar.outline.set_linewidth(0.5)


def _draw_bars(axes: Axes, means: np.ndarray, intervals: np.ndarray) -> None:
    """Draws bars of means `[runs]` with intervals `[runs, 2]`."""
    around = np.abs(intervals.T - means)
    at = np.arange(len(means))
    axes.bar(at, means, 0.6, color=_BAR, edgecolor=_INK, linewidth=0.6, yerr=around, capsize=5, ecolor=_INK)
    for place, mean in enumerate(means):
        axes.text(place, 0.03 * means.max(), f"{mean:,.0f}", ha="center", fontsize=12, color=_INK)

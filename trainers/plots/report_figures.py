"""The course report's figures: the cells, images of a cell, example arrays.

files.write_bytes("cells.png", figures.to_png(report_figures.partition_steps(cells, 2.0)))
"""

from collections.abc import Sequence

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.path import Path

from geods.geo import partition, polygons
from trainers.plots import projection

_LAND, _INK, _GRID = "#e9e4da", "#222222", "#0072b2"
# Okabe and Ito's, pale: four colours are enough for neighbours of a fishnet to differ.
_FACES = np.array(["#cfe8f5", "#fbe3c3", "#cdebdf", "#f6d9ea"])
_PIXELS_SHOWN = 5


def partition_steps(cells: partition.Partition, cell_deg: float | None) -> Figure:
    """Draws the area covered, the fishnet over it, and the cells.

    The report's Figure 3.

    Args:
        cells: The partition.
        cell_deg: Side of the fishnet's boxes; None for cells that are none of boxes, drawn without that step.
    """
    shapes = projection.Atlas(cells).shapes
    area = shapely.union_all(np.array(shapes))
    west, south, east, north = area.bounds
    aspect = 1 / max(0.2, float(np.cos(np.radians((south + north) / 2))))
    steps: list[tuple[str, Sequence[polygons.Shape]]] = [("Boundary", (area,)), (f"{len(cells):,} cells", shapes)]
    if cell_deg:
        steps.insert(1, (f"Fishnet of {cell_deg:g} degrees", (area,)))
    height_in = float(np.clip(5 * aspect * (north - south) / max(1e-9, east - west), 2, 8)) + 0.5
    figure = Figure(figsize=(5.0 * len(steps), height_in), layout="constrained")
    panels = figure.subplots(1, len(steps))
    for axes, (title, parts) in zip(panels, steps, strict=True):
        faces = _FACES[_colours(parts)] if len(parts) > 1 else _LAND
        axes.add_collection(PathCollection([_path(part) for part in parts], facecolors=faces, edgecolors=_INK, lw=0.5))
        margin = 0.02 * (east - west)
        axes.set(xlim=(west - margin, east + margin), ylim=(south - margin, north + margin), aspect=aspect)
        axes.set_axis_off()
        axes.set_title(title, loc="left")
    if cell_deg:
        panels[1].add_collection(LineCollection(_lines(area.bounds, cell_deg), colors=_GRID, linewidths=0.6))
    return figure


def cell_images(images: Sequence[Sequence[np.ndarray]], captions: Sequence[Sequence[str]], title: str) -> Figure:
    """Draws images of locations, one location a row (the report's Figure 4).

    Args:
        images: For each location its views, uint8 `[h, w, 3]` each.
        captions: For each location those of its views.
        title: Written above.
    """
    columns = max(map(len, images))
    figure = Figure(figsize=(3.4 * columns, 2.0 * len(images) + 0.6), layout="constrained")
    grid = figure.subplots(len(images), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, (views, texts) in enumerate(zip(images, captions, strict=True)):
        for axes, view, text in zip(grid[row], views, texts, strict=False):
            axes.imshow(view)
            axes.set_title(text, fontsize=9, loc="left", parse_math=False)
    figure.suptitle(title, x=0.01, ha="left", parse_math=False)
    return figure


def model_input(image: np.ndarray, cell: int, cells: int) -> Figure:
    """Draws an example as the network gets it: image, array and one-hot label.

    The report's Figure 6.

    Args:
        image: uint8 `[h, w, 3]`.
        cell: Its label.
        cells: Number of cells.
    """
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(4, 4, 5))
    left.imshow(image)
    left.set_title("Image", loc="left")
    left.set_axis_off()
    middle.set_title(f"Array of shape {image.shape}", loc="left")
    middle.set_axis_off()
    middle.text(0, 0.95, _corner(image), family="monospace", fontsize=8, va="top")
    _draw_one_hot(right, cell, cells)
    return figure


def _corner(image: np.ndarray) -> str:
    """Returns the first pixels of an image as text."""
    rows = [
        "  ".join(f"[{red:3} {green:3} {blue:3}]" for red, green, blue in row[:3].tolist()) + "  ..."
        for row in image[:_PIXELS_SHOWN]
    ]
    return "\n".join([*rows, "..."])


def _draw_one_hot(axes: Axes, cell: int, cells: int) -> None:
    """Draws a one-hot label as bars."""
    axes.set_title(f"One-hot label of cell {cell}, shape ({cells},)", loc="left")
    axes.vlines(cell, 0, 1, colors=projection.REDS[-2], linewidth=2)
    axes.axhline(0, color=_INK, linewidth=0.8)
    axes.set(xlim=(-0.5, cells - 0.5), ylim=(-0.05, 1.1), xlabel="Cell", yticks=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)


def _path(shape: polygons.Shape) -> Path:
    """Returns a shape as one path; holes run the other way round and stay empty."""
    rings = [ring for piece in polygons.parts(shape) for ring in (piece.exterior, *piece.interiors)]
    return Path.make_compound_path(*[Path(np.asarray(ring.coords), closed=True) for ring in rings])


def _lines(bounds: tuple[float, float, float, float], cell_deg: float) -> list[np.ndarray]:
    """Returns the parallels and meridians of a fishnet within bounds, each `[2, 2]`."""
    west, south, east, north = (
        edge(value / cell_deg) * cell_deg
        for edge, value in zip((np.floor, np.floor, np.ceil, np.ceil), bounds, strict=True)
    )
    meridians = np.arange(west, east + cell_deg / 2, cell_deg)
    parallels = np.arange(south, north + cell_deg / 2, cell_deg)
    return [
        *(np.array([(lon, south), (lon, north)]) for lon in meridians),
        *(np.array([(west, lat), (east, lat)]) for lat in parallels),
    ]


def _colours(shapes: Sequence[polygons.Shape]) -> np.ndarray:
    """Returns a colour number `[n]` for each shape, mostly other than neighbours'."""
    tree, numbers = shapely.STRtree(np.array(shapes)), np.full(len(shapes), -1)
    first, second = tree.query(np.array(shapes), predicate="intersects")
    for number in range(len(shapes)):
        taken = set(numbers[second[first == number]])
        numbers[number] = next((colour for colour in range(len(_FACES)) if colour not in taken), number % len(_FACES))
    return numbers

"""Trees and houses beside the road, drawn from far to near."""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import ImageDraw

from geods.geo import geometry
from geods.simulation.scenery import backdrop, palette, trees
from geods.simulation.scenery.camera import Camera, Point
from geods.simulation.scenery.road import Road

_MOST_TREES, _MOST_HOUSES = 200, 34
_NEAREST_M, _FARTHEST_M = 8.0, 230.0
_GLASS = (84, 98, 112)

Drawing = tuple[float, Callable[[], None]]


def draw(pen: ImageDraw.ImageDraw, camera: Camera, road: Road) -> None:
    """Draws trees and houses."""
    things = [*_trees(pen, camera, road), *_houses(pen, camera, road)]
    for _, paint in sorted(things, key=lambda thing: -thing[0]):
        paint()


def _trees(pen: ImageDraw.ImageDraw, camera: Camera, road: Road) -> list[Drawing]:
    """Returns (metres ahead, drawing function) of each visible tree."""
    traits = road.place.traits
    shares = trees.kinds(traits)
    steps = np.cumsum(list(shares.values()))
    count = round(_MOST_TREES * (0.05 + 0.95 * traits["woodland"] ** 1.4))
    drawings: list[Drawing] = []
    for foot, (choice, *chances) in _scatter(camera, road, "trees", count, clear_m=3.0):
        kind = list(shares)[min(int(np.searchsorted(steps, choice)), len(shares) - 1)]
        brush = trees.Brush(pen, camera, road.place, foot, chances)
        drawings.append((foot[1], functools.partial(trees.DRAW[kind], brush)))
    return drawings


def _houses(pen: ImageDraw.ImageDraw, camera: Camera, road: Road) -> list[Drawing]:
    """Returns (metres ahead, drawing function) of each visible house."""
    count = round(_MOST_HOUSES * road.place.traits["settlement"] ** 1.8)
    seen = _scatter(camera, road, "houses", count, clear_m=13.0)
    return [
        (foot[1], functools.partial(_draw_house, pen, camera, road, foot, chances))
        for foot, chances in seen
        if foot[1] > 14
    ]


def _scatter(
    camera: Camera, road: Road, name: str, count: int, clear_m: float
) -> list[tuple[list[float], list[float]]]:
    """Returns random visible positions off the road for `count` objects.

    Returns:
        For each (right, ahead) in metres, and five random numbers from 0 to 1 of its own.
    """
    chances = road.place.generator(name).random((count, 7))
    # The power lies between even in angle and distance (1) and even by area (0.5): trees crowd near the camera.
    distance = _NEAREST_M + (_FARTHEST_M - _NEAREST_M) * chances[:, 5] ** 1.3
    azimuth = 2 * math.pi * chances[:, 6]
    east_north: geometry.Array = np.stack([distance * np.sin(azimuth), distance * np.cos(azimuth)], axis=1)
    right, ahead = camera.turn(east_north).T
    # Half the field of view is 50 degrees, whose tangent is 1.2; crowns reach in from beside it.
    seen = (ahead > 4) & (np.abs(right) < 1.2 * ahead + 6) & (road.distance_m(east_north) > clear_m)
    return list(zip(np.stack([right, ahead], axis=1)[seen].tolist(), chances[seen, :5].tolist(), strict=True))


def _draw_house(
    pen: ImageDraw.ImageDraw, camera: Camera, road: Road, foot_m: Sequence[float], chances: Sequence[float]
) -> None:
    """Draws a house with a saddle roof, parallel to the road."""
    length, width, eaves = 4 + 4 * chances[0], 3 + 2 * chances[1], 2.8 if chances[2] < 0.6 else 5.6
    corners = _corners(foot_m, math.radians(road.place.bearing_deg - camera.heading_deg), length, width)
    if min(ahead for _, ahead in corners) < 2:
        return
    low = [camera.pixel(*corner) for corner in corners]
    high = [camera.pixel(*corner, eaves) for corner in corners]
    front, back = (
        camera.pixel((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, eaves + 0.7 * width) for a, b in (corners[:2], corners[2:])
    )

    def fill(points: Sequence[Point], base: palette.Colour, light: float) -> None:
        lit = palette.mix((0, 0, 0), base, light)
        pen.polygon(points, palette.rgb(backdrop.hazy(lit, road.place, foot_m[1])))

    colours = road.place.palette
    wall, roof = 0.88 + 0.24 * chances[3], 0.85 + 0.3 * chances[4]
    fill([high[3], high[0], front, back], colours.roof, 0.8 * roof)
    fill([low[1], low[2], high[2], high[1]], colours.wall, 0.84 * wall)
    fill([low[0], low[1], high[1], front, high[0]], colours.wall, 1.04 * wall)
    fill([high[1], high[2], back, front], colours.roof, roof)
    for start, end, count, light in ((0, 1, 2, 1.0), (1, 2, 4, 0.8)):
        for number in range(count):
            fill(
                _window([low[start], low[end], high[start], high[end]], (number + 0.5) / count, 0.26 / count),
                _GLASS,
                light,
            )


def _corners(foot_m: Sequence[float], angle: float, length_m: float, width_m: float) -> list[Point]:
    """Returns the four corners of a house, its visible walls first.

    Args:
        foot_m: Its middle, (right, ahead).
        angle: Of its roof's ridge from straight ahead, radians.
        length_m: Half of it, along the ridge.
        width_m: Half of it, across.
    """
    along = length_m * math.sin(angle), length_m * math.cos(angle)
    across = width_m * math.cos(angle), -width_m * math.sin(angle)
    # Of two opposite walls the camera sees the one whose outward side points back to it.
    ridge = -1 if foot_m[0] * along[0] + foot_m[1] * along[1] > 0 else 1
    side = -1 if foot_m[0] * across[0] + foot_m[1] * across[1] > 0 else 1
    return [
        (
            foot_m[0] + a * ridge * along[0] + b * side * across[0],
            foot_m[1] + a * ridge * along[1] + b * side * across[1],
        )
        for a, b in ((1, -1), (1, 1), (-1, 1), (-1, -1))
    ]


def _window(wall: Sequence[Point], middle: float, half: float) -> list[Point]:
    """Returns the corners of a window in a wall, two lower and two upper."""
    low_a, low_b, high_a, high_b = wall

    def point(across: float, up: float) -> Point:
        column, row = (
            (1 - up) * ((1 - across) * low_a[axis] + across * low_b[axis])
            + up * ((1 - across) * high_a[axis] + across * high_b[axis])
            for axis in (0, 1)
        )
        return column, row

    return [point(middle + side * half, up) for side, up in ((-1, 0.4), (1, 0.4), (1, 0.78), (-1, 0.78))]

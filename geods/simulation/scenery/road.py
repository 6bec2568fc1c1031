"""Road of a scene: its surface, lines and poles."""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw

from geods.geo import geometry
from geods.simulation.scenery import backdrop, palette
from geods.simulation.scenery.camera import Camera
from geods.simulation.scenery.place import Place

_REACH_M = 420.0
_NARROW_M, _WIDE_M = 4.2, 11.5
_SHOULDER_M = 1.6
_TIGHTEST_BEND_M = 700.0
_DASH_M, _PERIOD_M, _DASHES_TO_M = 3.0, 12.0, 84.0
_LINE_M = 0.14
_POLE_STEP_M, _POLE_REACH_M, _ARM_M = 42.0, 230.0, 1.1
_WOOD, _WIRE, _EDGE = (96, 78, 62), (52, 52, 56), (232, 232, 226)


@dataclasses.dataclass(frozen=True, eq=False)
class Road:
    """Road at a location.

    Attributes:
        place: Where it lies; the camera stands on its right lane.
    """

    place: Place

    @functools.cached_property
    def width_m(self) -> float:
        """Width of the asphalt."""
        return _NARROW_M + (_WIDE_M - _NARROW_M) * self.place.traits["road_width"]

    @functools.cached_property
    def bend(self) -> float:
        """Curvature in 1/m; positive turns right along the bearing."""
        return float(self.place.generator("bend").uniform(-1, 1)) / _TIGHTEST_BEND_M

    def ground(self, along_m: npt.ArrayLike, across_m: float) -> geometry.Array:
        """Returns points `[..., 2]` (east, north) from the camera, in metres.

        Args:
            along_m: `[...]`, way along the road from the camera.
            across_m: Way from the centre line, to the right along the bearing.
        """
        along = np.asarray(along_m, dtype=np.float64)
        aside = across_m - self.width_m / 4 + self.bend * along**2 / 2
        return np.stack([along, aside], axis=-1) @ self._axes

    def distance_m(self, east_north_m: geometry.Array) -> geometry.Array:
        """Returns distances of points `[n, 2]` from the asphalt, negative on it."""
        along, aside = (east_north_m @ self._axes.T).T
        return np.abs(aside - self.bend * along**2 / 2 + self.width_m / 4) - self.width_m / 2

    @functools.cached_property
    def _axes(self) -> geometry.Array:
        """Unit vectors (east, north) along the road and across it."""
        bearing = np.radians(self.place.bearing_deg)
        return np.array([[np.sin(bearing), np.cos(bearing)], [np.cos(bearing), -np.sin(bearing)]])


def draw(pen: ImageDraw.ImageDraw, camera: Camera, road: Road) -> None:
    """Draws shoulders, asphalt and lines."""
    colours, traits, half = road.place.palette, road.place.traits, road.width_m / 2
    shoulder = palette.mix(colours.soil, colours.asphalt, 0.45)
    _ribbon(pen, camera, road, 0, half + _SHOULDER_M, shoulder)
    _ribbon(pen, camera, road, 0, half, colours.asphalt)
    for side in (-1, 1):
        _ribbon(pen, camera, road, side * 0.54 * half, 0.17 * half, palette.mix(colours.asphalt, (0, 0, 0), 0.06))
    # Roads whose surface is pale are gravel, which nobody paints.
    if traits["asphalt"] < 0.3:
        return
    centre = palette.mix(colours.line, colours.asphalt, 0.2)
    if traits["settlement"] > 0.5:
        for aside in (-0.18, 0.18):
            _ribbon(pen, camera, road, aside, _LINE_M / 2, centre)
    else:
        _dashes(pen, camera, road, centre)
    for edge in (0.35 - half, half - 0.35):
        _ribbon(pen, camera, road, edge, _LINE_M / 2, palette.mix(_EDGE, colours.asphalt, 0.3))


def draw_poles(pen: ImageDraw.ImageDraw, camera: Camera, road: Road) -> None:
    """Draws wooden poles with their wires."""
    trait = road.place.traits["poles"]
    if trait < 0.35:
        return
    first, side = road.place.generator("poles").random(2).tolist()
    across = (road.width_m / 2 + 3.5) * (1 if side < 0.5 else -1)
    along = np.arange(-_POLE_REACH_M, _POLE_REACH_M, _POLE_STEP_M) + first * _POLE_STEP_M
    feet = camera.turn(road.ground(along, across))
    arms = (camera.turn(road.ground(along, across + _ARM_M)) - feet)[feet[:, 1] > 1.5]
    feet = feet[feet[:, 1] > 1.5]
    height_m = 7 + 4 * trait
    for number in range(len(feet) - 1):
        for share in (-1, 0, 1):
            _wire(pen, camera, (feet + share * arms)[number : number + 2], height_m - 0.4, road.place)
    for foot, arm in zip(feet.tolist(), arms.tolist(), strict=True):
        _pole(pen, camera, foot, arm, height_m, road.place)


def _ribbon(
    pen: ImageDraw.ImageDraw, camera: Camera, road: Road, middle_m: float, half_m: float, colour: palette.Colour
) -> None:
    """Fills the strip within `half_m` of `middle_m` across the road."""
    left, right = (camera.turn(road.ground(_STATIONS_M, middle_m + side * half_m)).tolist() for side in (-1, 1))
    if pixels := camera.outline(left + right[::-1]):
        pen.polygon(pixels, palette.rgb(colour))


def _dashes(pen: ImageDraw.ImageDraw, camera: Camera, road: Road, colour: palette.Colour) -> None:
    first = float(road.place.generator("dashes").uniform(0, _PERIOD_M))
    starts = np.arange(-_DASHES_TO_M, _DASHES_TO_M, _PERIOD_M) + first
    ends = np.stack([starts, starts + _DASH_M], axis=1)
    left, right = (camera.turn(road.ground(ends, side * _LINE_M)).tolist() for side in (-1, 1))
    for before, after in zip(left, right, strict=True):
        if pixels := camera.outline([*before, after[1], after[0]]):
            pen.polygon(pixels, palette.rgb(colour))


def _wire(pen: ImageDraw.ImageDraw, camera: Camera, ends_m: geometry.Array, height_m: float, place: Place) -> None:
    """Draws a wire between two poles; it sags by 1 m."""
    (right, ahead), (to_right, to_ahead) = ends_m.tolist()
    pixels = []
    for number in range(7):
        share = number / 6
        point = right + share * (to_right - right), ahead + share * (to_ahead - ahead)
        pixels.append(camera.pixel(*point, height_m - 4 * share * (1 - share)))
    colour = palette.rgb(backdrop.hazy(_WIRE, place, (ahead + to_ahead) / 2))
    pen.line(pixels, colour, max(1, camera.width_px // 800))


def _pole(
    pen: ImageDraw.ImageDraw, camera: Camera, foot_m: list[float], arm_m: list[float], height_m: float, place: Place
) -> None:
    right, ahead = foot_m
    colour = palette.rgb(backdrop.hazy(_WOOD, place, ahead))
    width = max(1, round(camera.focal_px * 0.26 / ahead))
    x, bottom = camera.pixel(right, ahead)
    _, top = camera.pixel(right, ahead, height_m)
    pen.rectangle([x - width / 2, top, x + width / 2, bottom], colour)
    arms = 1 if place.traits["poles"] < 0.65 else 2
    for number in range(arms):
        tips = [(right + side * arm_m[0], max(0.6, ahead + side * arm_m[1])) for side in (-1.2, 1.2)]
        pen.line([camera.pixel(*tip, height_m - 0.5 - number) for tip in tips], colour, max(1, width // 2))


def _stations_m() -> geometry.Array:
    """Returns positions along the road, dense near the camera."""
    ahead = np.geomspace(1.5, _REACH_M, 12)
    return np.concatenate([-ahead[::-1], [0.0], ahead])


_STATIONS_M = _stations_m()

"""Trees: species by climate, and their drawing."""

import math
from collections.abc import Callable, Mapping, Sequence

from PIL import ImageDraw

from geods.simulation.scenery import backdrop, palette
from geods.simulation.scenery.camera import Camera, Point
from geods.simulation.scenery.place import Place

_BARK = (92, 74, 58)
_CACTUS = (86, 120, 78)


def kinds(traits: Mapping[str, float]) -> dict[str, float]:
    """Returns the share of each kind of tree in a climate; they sum to 1."""
    cold, moist, conifer = traits["coldness"], traits["moisture"], traits["conifer"]
    weights = {
        "conifer": max(0.0, 1.6 * cold + 1.2 * conifer - 0.9),
        "palm": max(0.0, 0.8 - 2.6 * cold) * moist,
        "cactus": max(0.0, 1.0 - 1.6 * cold) * max(0.0, 0.55 - moist) * 2,
        "bush": max(0.05, 0.9 - moist),
        "broadleaf": max(0.05, 1.1 * moist - 0.5 * conifer + 0.2),
    }
    total = sum(weights.values())
    return {kind: weight / total for kind, weight in weights.items()}


class Brush:
    """Drawing of one tree, in metres around its foot.

    Args:
        pen: Of the canvas.
        camera: The view.
        place: Whose colours and air to use.
        right_ahead_m: The foot, from the camera.
        chances: Four numbers from 0 to 1: size, spread, lean and shade of the tree.
    """

    def __init__(
        self,
        pen: ImageDraw.ImageDraw,
        camera: Camera,
        place: Place,
        right_ahead_m: Sequence[float],
        chances: Sequence[float],
    ) -> None:
        self.place = place
        self.size, self.spread, self.lean, self._shade = chances
        self._pen, self._air_share = pen, backdrop.air_share(place, right_ahead_m[1])
        self._x, self._y = camera.pixel(*right_ahead_m)
        self._scale = camera.focal_px / right_ahead_m[1]

    def colour(self, base: palette.Colour, light: float = 1.0) -> tuple[int, int, int]:
        """Returns a colour with this tree's own shade and haze."""
        lit = palette.mix((0, 0, 0), base, light * (0.86 + 0.28 * self._shade))
        return palette.rgb(palette.mix(lit, self.place.palette.horizon, self._air_share))

    def polygon(self, points_m: Sequence[Point], colour: tuple[int, int, int]) -> None:
        """Fills a polygon of (right, up) metres."""
        pixels = [(self._x + right * self._scale, self._y - up * self._scale) for right, up in points_m]
        self._pen.polygon(pixels, colour)

    def round(self, right_m: float, up_m: float, width_m: float, height_m: float, colour: tuple[int, int, int]) -> None:
        """Fills an ellipse round (right, up) of half this width and height."""
        x, y = self._x + right_m * self._scale, self._y - up_m * self._scale
        dx, dy = width_m * self._scale, height_m * self._scale
        self._pen.ellipse([x - dx, y - dy, x + dx, y + dy], colour)

    def shadow(self, width_m: float) -> None:
        """Draws the shadow below the tree."""
        self.round(0, 0, width_m, 0.1 * width_m, self.colour(self.place.palette.ground, 0.74))

    def stem(self, width_m: float, height_m: float, lean_m: float = 0.0, light: float = 1.0) -> None:
        """Draws a trunk of half this width at its foot."""
        top = 0.65 * width_m
        points = [(-width_m, 0.0), (width_m, 0.0), (lean_m + top, height_m), (lean_m - top, height_m)]
        self.polygon(points, self.colour(_BARK, light))


def _broadleaf(brush: Brush) -> None:
    """A trunk and a crown of four rounds, lighter on top."""
    height = 5 + 6 * brush.size
    wide = height * (0.26 + 0.12 * brush.spread)
    leaf, lean = brush.place.palette.leaf, wide * (brush.lean - 0.5) * 0.6
    brush.shadow(wide)
    brush.stem(0.035 * height, 0.5 * height)
    brush.round(0, 0.58 * height, wide, 0.26 * height, brush.colour(leaf, 0.74))
    brush.round(-0.45 * wide + lean, 0.66 * height, 0.6 * wide, 0.21 * height, brush.colour(leaf, 0.86))
    brush.round(0.42 * wide + lean, 0.68 * height, 0.58 * wide, 0.2 * height, brush.colour(leaf, 0.95))
    brush.round(lean, 0.8 * height, 0.58 * wide, 0.2 * height, brush.colour(leaf, 1.1))


def _conifer(brush: Brush) -> None:
    """A trunk and four skirts, the sunny half lighter."""
    height = 6 + 9 * brush.size
    wide = height * (0.15 + 0.08 * brush.spread)
    needle = brush.place.palette.needle
    shady, sunny = brush.colour(needle, 0.86), brush.colour(needle, 1.1)
    brush.shadow(wide)
    brush.stem(0.02 * height + 0.06, 0.2 * height)
    for tier in range(4):
        bottom, half = height * (0.1 + 0.2 * tier), wide * (1 - 0.2 * tier)
        top = min(height, bottom + 0.4 * height)
        brush.polygon([(-half, bottom), (half, bottom), (0, top)], shady)
        brush.polygon([(half * 0.1, bottom), (half, bottom), (0, top)], sunny)


def _palm(brush: Brush) -> None:
    """A bent stem and a star of fronds."""
    height, lean = 5 + 5 * brush.size, (brush.lean - 0.5) * 1.6
    reach = 2.2 + 0.6 * brush.spread
    brush.shadow(1.2)
    brush.stem(0.2, height, lean, 1.35)
    for number in range(9):
        angle = math.pi * (number / 8 * 1.3 - 0.15)
        along, up = reach * math.cos(angle), reach * math.sin(angle)
        tip = (lean + along, height + 0.55 * up - 0.28 * reach)
        over, under = (lean + 0.55 * along, height + 0.3 * up + 0.2), (lean + 0.55 * along, height + 0.3 * up - 0.22)
        colour = brush.colour(brush.place.palette.leaf, 0.8 + 0.07 * (number % 5))
        brush.polygon([(lean, height), over, tip, under], colour)


def _cactus(brush: Brush) -> None:
    """A saguaro with two arms."""
    height = 2 + 3 * brush.size
    colour = brush.colour(palette.mix(brush.place.palette.leaf, _CACTUS, 0.6))
    brush.shadow(0.6)
    brush.polygon([(-0.24, 0), (0.24, 0), (0.24, height), (-0.24, height)], colour)
    brush.round(0, height, 0.24, 0.24, colour)
    for side, low in ((-1, (0.3 + 0.2 * brush.spread) * height), (1, (0.4 + 0.15 * brush.lean) * height)):
        out = side * 0.8
        brush.polygon([(0, low), (out, low), (out, low + 0.3), (0, low + 0.3)], colour)
        tip = low + 0.3 * height
        brush.polygon([(out - 0.16, low), (out + 0.16, low), (out + 0.16, tip), (out - 0.16, tip)], colour)
        brush.round(out, tip, 0.16, 0.16, colour)


def _bush(brush: Brush) -> None:
    """A low round shrub."""
    size = 0.6 + 0.8 * brush.size
    green = palette.mix(brush.place.palette.leaf, brush.place.palette.soil, 0.3)
    brush.shadow(size)
    brush.round(0, 0.4 * size, size, 0.45 * size, brush.colour(green, 0.8))
    brush.round(-0.3 * size, 0.55 * size, 0.6 * size, 0.36 * size, brush.colour(green, 0.95))
    brush.round(0.35 * size, 0.6 * size, 0.5 * size, 0.32 * size, brush.colour(green, 1.08))


DRAW: Mapping[str, Callable[[Brush], None]] = {
    "broadleaf": _broadleaf,
    "conifer": _conifer,
    "palm": _palm,
    "cactus": _cactus,
    "bush": _bush,
}

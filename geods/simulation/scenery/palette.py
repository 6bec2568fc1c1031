"""Colours of a scene."""

import dataclasses
from collections.abc import Mapping, Sequence

Colour = tuple[float, float, float]

# Red, green, blue from 0 to 255; a trait from 0 to 1 runs along a row of anchors.
_ZENITHS = ((52, 104, 186), (74, 140, 214), (96, 168, 206), (134, 158, 200))
_HORIZONS = ((186, 208, 226), (214, 224, 226), (232, 222, 198), (222, 206, 204))
_SOILS = ((206, 186, 146), (176, 138, 96), (164, 92, 62), (98, 84, 70))
_LEAVES = ((150, 146, 64), (104, 138, 52), (62, 116, 56), (40, 96, 74))
_NEEDLES = ((58, 96, 62), (38, 78, 64), (34, 66, 74))
_ASPHALTS = ((150, 136, 118), (126, 124, 122), (94, 96, 100), (64, 66, 72))
_LINES = ((238, 236, 228), (240, 222, 150), (238, 186, 44))
_ROOFS = ((160, 70, 54), (120, 96, 84), (84, 92, 104), (70, 110, 104))
_WALLS = ((226, 218, 200), (198, 176, 150), (238, 238, 234), (168, 122, 100))
_STRAW, _CROP, _AUTUMN = (196, 180, 110), (214, 190, 96), (168, 108, 44)
_WHITE, _SNOW = (255, 255, 255), (236, 240, 246)
_STONE, _DULL = (116, 112, 122), (120, 120, 116)
_OVERCAST = ((150, 158, 168), (198, 202, 206), (188, 194, 204))


@dataclasses.dataclass(frozen=True)
class Palette:
    """Colours of a place, red, green and blue from 0 to 255.

    `snow_share` is the share of the ground under snow, 0 to 1.
    """

    zenith: Colour
    horizon: Colour
    cloud: Colour
    soil: Colour
    ground: Colour
    crop: Colour
    leaf: Colour
    needle: Colour
    rock: Colour
    asphalt: Colour
    line: Colour
    roof: Colour
    wall: Colour
    snow_share: float


def of(traits: Mapping[str, float], winter: float) -> Palette:
    """Returns the palette of a place.

    Args:
        traits: By name, see `fields.TRAITS`.
        winter: 0 in midsummer to 1 in midwinter.
    """
    cold, moist = traits["coldness"], traits["moisture"]
    snow = _clip(3.2 * cold * winter + 3.0 * max(0.0, cold - 0.85) + 0.4 * moist - 1.5, 0.9)
    return Palette(**_sky(traits), **_land(traits, winter, snow), **_works(traits, snow), snow_share=snow)


def mix(first: Sequence[float], second: Sequence[float], share: float) -> Colour:
    """Returns the colour `share` of the way from `first` to `second`."""
    # Written out: 400 times a view, and generators took a sixth of its time.
    red, green, blue = first
    to_red, to_green, to_blue = second
    return red + share * (to_red - red), green + share * (to_green - green), blue + share * (to_blue - blue)


def along(anchors: Sequence[Sequence[float]], share: float) -> Colour:
    """Returns the colour at a share, 0 to 1, of evenly spaced anchors."""
    at = _clip(share) * (len(anchors) - 1)
    first = min(int(at), len(anchors) - 2)
    return mix(anchors[first], anchors[first + 1], at - first)


def rgb(colour: Sequence[float], light: float = 1.0) -> tuple[int, int, int]:
    """Returns a colour for Pillow, multiplied by `light`."""
    red, green, blue = colour
    return _level(red * light), _level(green * light), _level(blue * light)


def _level(channel: float) -> int:
    level = round(channel)
    return 0 if level < 0 else min(level, 255)


def _sky(traits: Mapping[str, float]) -> dict[str, Colour]:
    haze, grey = traits["haze"], 0.55 * traits["cloud"] ** 2
    horizon = mix(along(_HORIZONS, traits["sky"]), _WHITE, 0.45 * haze)
    zenith = mix(along(_ZENITHS, traits["sky"]), horizon, 0.5 * haze)
    colours = zip((zenith, horizon, _WHITE), _OVERCAST, strict=True)
    mixed = [mix(colour, overcast, grey) for colour, overcast in colours]
    return dict(zip(("zenith", "horizon", "cloud"), mixed, strict=True))


def _land(traits: Mapping[str, float], winter: float, snow: float) -> dict[str, Colour]:
    cold, moist = traits["coldness"], traits["moisture"]
    frost = _clip(2.2 * cold + 0.9 * winter - 1.6)
    soil = mix(along(_SOILS, traits["soil"]), _DULL, 0.25 * cold)
    leaf = mix(along(_LEAVES, traits["leaf"]), along(_LEAVES, moist), 0.4)
    grass = mix(mix(leaf, _STRAW, 0.25), _AUTUMN, 0.35 * frost)
    ground = mix(soil, grass, _clip(1.6 * moist - 0.25))
    return {
        "soil": mix(soil, _SNOW, 0.5 * snow),
        "ground": mix(ground, _SNOW, snow),
        "crop": mix(mix(ground, _CROP, 0.55), _SNOW, snow),
        "leaf": mix(mix(leaf, _AUTUMN, 0.5 * frost), _SNOW, 0.4 * snow),
        "needle": mix(along(_NEEDLES, traits["leaf"]), _SNOW, 0.3 * snow),
        "rock": mix(mix(mix(soil, _STONE, 0.5), leaf, 0.35 * moist), _SNOW, 0.7 * snow),
    }


def _works(traits: Mapping[str, float], snow: float) -> dict[str, Colour]:
    return {
        "asphalt": mix(along(_ASPHALTS, traits["asphalt"]), _SNOW, 0.25 * snow),
        "line": along(_LINES, traits["centre_line"]),
        "roof": mix(along(_ROOFS, traits["roof"]), _SNOW, 0.7 * snow),
        "wall": along(_WALLS, (traits["roof"] + traits["soil"]) / 2),
    }


def _clip(value: float, highest: float = 1.0) -> float:
    return max(0.0, min(highest, value))

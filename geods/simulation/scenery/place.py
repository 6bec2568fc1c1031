"""Scene at one location of a simulated world, for every heading."""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from geods.geo import geometry
from geods.simulation.scenery import fields
from geods.simulation.scenery import palette as scenery_palette

_FIRST_YEAR, _YEARS = 2008, 16
_HILL_RANGES = ((2, 9, 5), (4, 17, 6), (25, 140, 14))


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """Scene at one location.

    Attributes:
        key: Words that set this place apart, for its random draws.
        lat_deg: Latitude, degrees.
        lon_deg: Longitude, degrees.
        bearing_deg: Direction of the road, 0 to 180 degrees clockwise from north.
        date: Month of the picture, "YYYY-MM".
        traits: `fields.TRAITS` by name, each from 0 to 1, with the place's own deviations.
        light: Brightness of the picture, 1 on average.
        warmth: Colour of the light, 0 on average: positive is redder.
    """

    key: str
    lat_deg: float
    lon_deg: float
    bearing_deg: float
    date: str
    traits: Mapping[str, float]
    light: float
    warmth: float

    @property
    def winter(self) -> float:
        """Season, 0 in midsummer to 1 in midwinter."""
        month = int(self.date[5:]) - (0 if self.lat_deg >= 0 else 6)
        return (1 + float(np.cos(2 * np.pi * (month - 1) / 12))) / 2

    @functools.cached_property
    def palette(self) -> scenery_palette.Palette:
        """Its colours."""
        return scenery_palette.of(self.traits, self.winter)

    @property
    def sight_m(self) -> float:
        """Distance at which haze leaves 1/e of a colour's contrast."""
        return 2500 - 2050 * self.traits["haze"]

    @functools.cached_property
    def sun_azimuth_deg(self) -> float:
        """Azimuth of the sun between morning and evening, clockwise from north."""
        swing = float(self.generator("sun").uniform(-75, 75))
        return (180 if self.lat_deg >= 0 else 0) + swing

    @functools.cached_property
    def sun_height_deg(self) -> float:
        """Half the elevation of the sun at noon."""
        tilt = 23.4 * (1 - 2 * self.winter)
        return max(6.0, (90 - abs(abs(self.lat_deg) - tilt)) / 2)

    @functools.cached_property
    def offsets(self) -> tuple[float, float, float, float]:
        """Offsets of the textures.

        Across and down the clouds in texels, north and east on the ground in metres.
        """
        across, down, north, east = self.generator("offsets").uniform(0, 512, 4).tolist()
        return across, down, north, east

    @functools.cached_property
    def hills(self) -> tuple[geometry.Array, ...]:
        """Skylines of far hills, near hills and trees.

        `[n, 3]` each: whole waves in a round, height, phase.
        """
        rng = self.generator("hills")
        ranges = []
        for low, high, count in _HILL_RANGES:
            waves = rng.integers(low, high, count).astype(np.float64)
            heights = rng.uniform(0.3, 1, count) * np.sqrt(low / waves)
            ranges.append(np.stack([waves, heights, rng.uniform(0, 2 * np.pi, count)], axis=1))
        return tuple(ranges)

    def generator(self, *words: object) -> np.random.Generator:
        """Returns a random generator for one purpose at this location."""
        return fields.generator(self.key, *words)


def month(rng: np.random.Generator) -> str:
    """Returns a random month, "YYYY-MM".

    Most are between spring and autumn, as in Street View.
    """
    weights = np.array([2, 2, 3, 5, 7, 8, 8, 8, 7, 6, 4, 2], dtype=np.float64)
    chosen = int(rng.choice(12, p=weights / weights.sum())) + 1
    return f"{_FIRST_YEAR + int(rng.integers(_YEARS))}-{chosen:02d}"

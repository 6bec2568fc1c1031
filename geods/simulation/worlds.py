"""A simulated world, for demos and tests that need neither key nor network.

    world = worlds.World(seed=0)
    content = world.render(47.6, -122.3, heading_deg=90)

Each place has a climate, a landscape and a road that follow from where it lies, so a model can learn where an image
was taken. Figures measured on these images say nothing about real ones.
"""

import dataclasses
import functools
import io

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from geods import errors
from geods.geo import geometry
from geods.simulation.scenery import backdrop, fields, road, roadside
from geods.simulation.scenery.camera import Camera
from geods.simulation.scenery.place import Place, month

LEAST_PX, MOST_PX = 8, 4096
# Polygons are drawn twice as large and then halved, which smooths their edges.
_OVERSAMPLING = 2
_TRAIT_NOISE = 0.12
_LIGHT_NOISE = 0.14
_GRAIN = (1.5, 6.5)


@dataclasses.dataclass(frozen=True)
class World:
    """A simulated world.

    Attributes:
        seed: Another seed is another world.
        difficulty: 0 to 1: how much a place deviates from what its position says, and how much light and grain vary.
    """

    seed: int = 0
    difficulty: float = 0.5

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If `difficulty` is out of range.
        """
        check(self.difficulty)

    @functools.cached_property
    def _fields(self) -> fields.Fields:
        return fields.Fields(self.seed)

    def place(self, lat_deg: float, lon_deg: float) -> Place:
        """Returns the scene at a location.

        Raises:
            CoordinateError: If it is no place on Earth.
        """
        key, (lat, lon), deviation, bearing_deg, date = self._drawn(lat_deg, lon_deg)
        traits = np.clip(self._fields.at([[lat, lon]])[0] + _TRAIT_NOISE * deviation[2:], 0, 1)
        return Place(
            key=key,
            lat_deg=lat,
            lon_deg=lon,
            bearing_deg=bearing_deg,
            date=date,
            traits=dict(zip(fields.TRAITS, traits.tolist(), strict=True)),
            light=float(np.exp(_LIGHT_NOISE * deviation[0])),
            warmth=float(0.5 * _LIGHT_NOISE * deviation[1]),
        )

    def date(self, lat_deg: float, lon_deg: float) -> str:
        """Returns the month of the scene at a location alone, "YYYY-MM"."""
        return self._drawn(lat_deg, lon_deg)[-1]

    def _drawn(self, lat_deg: float, lon_deg: float) -> tuple[str, list[float], geometry.Array, float, str]:
        """Returns key, (lat, lon), deviations, bearing and month of a location."""
        lat, lon = geometry.check_coords((lat_deg, lon_deg), "place").tolist()
        lon = float(geometry.wrap_lon_deg(lon)) + 0.0
        key = f"world {self.seed} {lat:.7f} {lon:.7f}"
        rng = fields.generator(key, "place")
        deviation = self.difficulty * rng.standard_normal(len(fields.TRAITS) + 2)
        return key, [lat, lon], deviation, float(rng.uniform(0, 180)), month(rng)

    def render(
        self, lat_deg: float, lon_deg: float, heading_deg: float, height_px: int = 300, width_px: int = 600
    ) -> bytes:
        """Returns a view as JPEG bytes; equal arguments give equal bytes.

        That holds for the same versions of Pillow and NumPy.

        Args:
            lat_deg: Latitude, degrees.
            lon_deg: Longitude, degrees.
            heading_deg: Where the camera looks, degrees clockwise from north.
            height_px: Rows.
            width_px: Columns.

        Raises:
            CoordinateError: If it is no place on Earth.
            OptionError: If the size is out of range or the heading not a finite number.
        """
        with io.BytesIO() as target:
            self.picture(self.place(lat_deg, lon_deg), heading_deg, height_px, width_px).save(
                target, "JPEG", quality=85, subsampling="4:2:0", optimize=False, progressive=False
            )
            return target.getvalue()

    def picture(self, place: Place, heading_deg: float, height_px: int = 300, width_px: int = 600) -> Image.Image:
        """Returns a view as an RGB image; arguments and errors as in `render`."""
        check(self.difficulty, height_px, width_px)
        if not np.isfinite(heading_deg):
            raise errors.OptionError(f"heading {heading_deg} is not a number of degrees.", "give 0 to 360")
        camera = Camera(float(heading_deg) % 360, height_px * _OVERSAMPLING, width_px * _OVERSAMPLING)
        canvas = Image.new("RGB", (camera.width_px, camera.height_px))
        backdrop.draw(canvas, camera, place)
        pen, way = ImageDraw.Draw(canvas), road.Road(place)
        road.draw(pen, camera, way)
        roadside.draw(pen, camera, way)
        road.draw_poles(pen, camera, way)
        return self._expose(canvas.reduce(_OVERSAMPLING), place, camera.heading_deg)

    def _expose(self, picture: Image.Image, place: Place, heading_deg: float) -> Image.Image:
        """Returns the image under the light of its day, with sensor noise."""
        levels = np.arange(256)
        gains = (1 + place.warmth, 1.0, 1 - place.warmth)
        curves = [np.clip(np.rint(levels * place.light * gain), 0, 255).astype(np.uint8) for gain in gains]
        sigma = _GRAIN[0] + self.difficulty * (_GRAIN[1] - _GRAIN[0])
        row, column = place.generator("grain", f"{heading_deg:.3f}").integers(fields.SIZE, size=2)
        cut = fields.grain(sigma, picture.height, picture.width)[row:, column:]
        grain = Image.fromarray(cut[: picture.height, : picture.width])
        lit = [Image.fromarray(curve[np.asarray(band)]) for curve, band in zip(curves, picture.split(), strict=True)]
        return Image.merge("RGB", [ImageChops.add(band, grain, 1, -128) for band in lit])


def check(difficulty: float = 0.5, height_px: int = 300, width_px: int = 600) -> None:
    """Checks the options of a world and its images.

    Raises:
        OptionError: If one is out of range.
    """
    if not 0 <= difficulty <= 1:
        raise errors.OptionError(f"difficulty={difficulty} is not between 0 and 1.", "0.5 is the default")
    if not (LEAST_PX <= height_px <= MOST_PX and LEAST_PX <= width_px <= MOST_PX):
        problem = f"a picture of {width_px} x {height_px} pixels cannot be drawn."
        raise errors.OptionError(problem, f"give {LEAST_PX} to {MOST_PX} pixels each way")

"""Pinhole camera on the road: metres on the ground to pixels."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geods.geo import geometry

# What the course report asked Street View for.
FIELD_OF_VIEW_DEG = 100.0
PITCH_DEG = 10.0
# A Street View car carries its camera 2.5 m above the road.
HEIGHT_M = 2.5
NEAR_M = 0.6

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Camera:
    """Heading and image size of a pinhole camera.

    Attributes:
        heading_deg: Clockwise from north.
        height_px: Of the picture.
        width_px: Of the picture.
    """

    heading_deg: float
    height_px: int
    width_px: int

    @functools.cached_property
    def focal_px(self) -> float:
        """Distance of the picture plane, in pixels."""
        return self.width_px / 2 / math.tan(math.radians(FIELD_OF_VIEW_DEG / 2))

    @functools.cached_property
    def horizon_px(self) -> float:
        """Row of the horizon.

        The pitch is a shift of the image plane, so that trees stay upright.
        """
        return self.height_px / 2 + self.focal_px * math.tan(math.radians(PITCH_DEG))

    def azimuths_deg(self, columns: npt.ArrayLike) -> geometry.Array:
        """Returns the azimuths of columns, degrees clockwise from north."""
        aside = (np.asarray(columns, dtype=np.float64) - self.width_px / 2) / self.focal_px
        return self.heading_deg + np.degrees(np.arctan(aside))

    def turn(self, east_north_m: npt.ArrayLike) -> geometry.Array:
        """Returns (east, north) points `[..., 2]` as (right, ahead), in metres."""
        sin, cos = math.sin(math.radians(self.heading_deg)), math.cos(math.radians(self.heading_deg))
        return np.asarray(east_north_m, dtype=np.float64) @ np.array([[cos, sin], [-sin, cos]])

    def pixel(self, right_m: float, ahead_m: float, up_m: float = 0.0) -> Point:
        """Returns (column, row) of a point in front of the camera, `up_m` above the road."""
        scale = self.focal_px / ahead_m
        return self.width_px / 2 + right_m * scale, self.horizon_px - (up_m - HEIGHT_M) * scale

    def outline(self, right_ahead_m: Sequence[Sequence[float]]) -> list[Point]:
        """Returns the pixels of a polygon on the ground, clipped at the camera.

        Empty if it lies behind.
        """
        kept = []
        before_right, before = right_ahead_m[-1]
        for right, ahead in right_ahead_m:
            if (ahead >= NEAR_M) != (before >= NEAR_M):
                share = (NEAR_M - before) / (ahead - before)
                kept.append(self.pixel(before_right + share * (right - before_right), NEAR_M))
            if ahead >= NEAR_M:
                kept.append(self.pixel(right, ahead))
            before_right, before = right, ahead
        return kept if len(kept) > 2 else []

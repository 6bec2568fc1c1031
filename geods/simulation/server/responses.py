"""Responses of the simulated Street View service to accepted requests.

As documented by the service, and as observed against its documentation: `radius` may be overrun (`radius_leak`), and
`source=outdoor` leaves out indoor panoramas but not photographs of users. Two things differ from the service: an
address is never found, and the camera always looks 10 degrees up through a lens of 100, whatever `pitch` and `fov` say.
"""

import dataclasses
import math
from collections.abc import Mapping

from geods.geo import geometry
from geods.simulation import panoramas
from geods.simulation.scenery import fields
from geods.simulation.server import images, queries, wire

# The coverage is searched no farther, so that one request cannot keep the server busy.
_MOST_RADIUS_M = 20_000
_LEAK_KM, _LEAK_TRIES, _LEAK_BOX_DEG = (200.0, 3500.0), 24, 0.1


class Service:
    """Answers requests about a world with panoramas. Thread-safe.

    Args:
        coverage: Where there are panoramas.
        views: What they look like.
        seed: Seed of the radius leak.
        radius_leak: Share of the points for which the answer is a user's photograph far away, if there is one.
    """

    def __init__(
        self,
        coverage: panoramas.Coverage,
        views: images.Views,
        seed: int = 0,
        radius_leak: float = 0.0,
    ) -> None:
        self.coverage = coverage
        self._views, self._seed, self._radius_leak = views, seed, radius_leak

    def metadata(self, params: Mapping[str, str]) -> wire.Reply:
        """Returns the answer to a metadata request.

        Args:
            params: Its parameters.
        """
        try:
            query = queries.read(params)
        except queries.InvalidError as error:
            return wire.json_reply({"error_message": f"{error}.", "status": "INVALID_REQUEST"})
        if query.address and query.pano_id is None:
            return wire.json_reply({"status": "NOT_FOUND"})
        pano = self._find(query)
        return wire.json_reply({"status": "ZERO_RESULTS"} if pano is None else record(pano))

    def image(self, params: Mapping[str, str]) -> wire.Reply:
        """Returns the answer to an image request.

        Args:
            params: Its parameters.
        """
        try:
            query = queries.read(params)
        except queries.InvalidError as error:
            return _invalid(params, str(error))
        if not query.height_px:
            return wire.text_reply("size is required.", 400)
        pano = self._find(query)
        if pano is None:
            return no_image(query.height_px, query.width_px, query.error_code)
        coords = (pano.lat_deg, pano.lon_deg)
        heading_deg = _heading_deg(query, coords)
        name = view_name(pano.pano_id, heading_deg, query)
        content = self._views.view(name, coords, heading_deg, query.height_px, query.width_px)
        return wire.image_reply(content, view=name)

    def _find(self, query: queries.Query) -> panoramas.CoveredPano | None:
        if query.pano_id is not None:
            return self.coverage.by_id(query.pano_id)
        if query.coords is None:
            return None
        leaked = self._leaked(query.coords)
        if leaked is not None:
            return leaked
        return self.coverage.nearest(*query.coords, min(query.radius_m, _MOST_RADIUS_M), query.outdoor)

    def _leaked(self, coords: tuple[float, float]) -> panoramas.CoveredPano | None:
        """Returns a user's far photograph for the points of the radius leak, or None."""
        if not self._radius_leak:
            return None
        rng = fields.generator(self._seed, "leak", f"{coords[0]:.7f},{coords[1]:.7f}")
        if rng.random() >= self._radius_leak:
            return None
        for _ in range(_LEAK_TRIES):
            lat_deg, lon_deg = geometry.destination(coords, rng.uniform(0, 360), rng.uniform(*_LEAK_KM)).tolist()
            half = _LEAK_BOX_DEG / 2
            box = (lat_deg - half, lon_deg - half, lat_deg + half, lon_deg + half)
            found = [pano for pano in self.coverage.within(box) if not pano.official and not pano.indoor]
            if found:
                return min(found, key=lambda pano: pano.pano_id)
        return None


def record(pano: panoramas.CoveredPano) -> dict[str, object]:
    """Returns the metadata of a panorama, in the service's order."""
    dated = {} if pano.date is None else {"date": pano.date}
    return {
        "copyright": pano.copyright,
        **dated,
        "location": {"lat": pano.lat_deg, "lng": pano.lon_deg},
        "pano_id": pano.pano_id,
        "status": "OK",
    }


def view_name(pano_id: str, heading_deg: float, query: queries.Query) -> str:
    """Returns the name of a view: "pano|heading|fov|pitch|size"."""
    angles = f"{heading_deg:.10g}|{query.fov_deg:.10g}|{query.pitch_deg:.10g}"
    return f"{pano_id}|{angles}|{query.width_px}x{query.height_px}"


def no_image(height_px: int, width_px: int, error_code: bool) -> wire.Reply:
    """Returns the response where there is no panorama.

    It counts as used, since the documentation does not exclude it.
    """
    if error_code:
        return dataclasses.replace(wire.text_reply("No imagery here.", 404), billed=True)
    return wire.image_reply(images.no_imagery(height_px, width_px))


def _invalid(params: Mapping[str, str], problem: str) -> wire.Reply:
    if queries.wants_error_code(params) or not params.get("size"):
        return wire.text_reply(f"{problem}.", 400)
    # With status 200, as the service does unless it is asked for error codes.
    return wire.image_reply(images.no_imagery(300, 600))


def _heading_deg(query: queries.Query, coords: tuple[float, float]) -> float:
    """Returns the heading: requested, else towards the requested point, else north."""
    if query.heading_deg is not None:
        return query.heading_deg
    if query.coords is None or query.pano_id is not None:
        return 0.0
    towards = float(geometry.bearing_deg(coords, query.coords))
    return towards % 360 if math.isfinite(towards) else 0.0

"""The Google Street View Static API, or a server that speaks it.

    key = api_key.read_secret(street_view_options.KEY_ENV)
    client = street_view_api.StreetView(street_view_options.StreetViewOptions(), key)
    panorama = client.look_up(40.7484, -73.9857)        free
    content = client.fetch(panorama, heading_deg=90)    billed

Metadata first, as it costs nothing and the image tells neither where nor when it was taken; then the image of that
panorama, as asking by position again may snap to another. Downloading in bulk is subject to Google's terms.
"""

import math
import re

from geods import errors
from geods.geo import geometry
from geods.imagery import image_checks, source
from geods.imagery.http import api_key, signing, transport, url_policy
from geods.imagery.street_view import responses, street_view_options

_PATH = "/maps/api/streetview"
# "© Google", "© 2017 Google", "© 2016 Google Inc." are all official.
_OFFICIAL = re.compile(r"©\s*(\d{4}\s+)?Google(,? (Inc|LLC)\.?)?")
# What the rounding of a query's seven decimals and of the sphere may add.
_TOLERANCE_KM = 0.001


class StreetView:
    """A source.Source over HTTP, which describes its methods; one attempt a call.

    Args:
        options: What to ask for.
        key: API key.
        signing_secret: URL signing secret, or None to send unsigned requests, which have a lower quota.
        limits: How long and how large an answer may be.

    Raises:
        OptionError: If the signing secret cannot be one.

    Attributes:
        name: "street_view"; or "simulated_street_view", which any server on this machine is taken for.
        licence: Terms its images come under.
        has_own_licences: False.
        units_per_image: 1.
    """

    has_own_licences, units_per_image = False, 1

    def __init__(
        self,
        options: street_view_options.StreetViewOptions,
        key: api_key.Secret,
        signing_secret: api_key.Secret | None = None,
        limits: transport.Limits | None = None,
    ) -> None:
        """Opens no connection yet."""
        if signing_secret is not None:
            signing.sign("", signing_secret)
        simulated = url_policy.is_loopback(options.api_base)
        self.name = "simulated_street_view" if simulated else "street_view"
        self.licence = "Apache-2.0" if simulated else "Google Maps Platform Terms of Service"
        self._options, self._key, self._signing_secret = options, key, signing_secret
        self._transport = transport.Transport(limits)

    def look_up(self, lat_deg: float, lon_deg: float) -> source.Panorama | source.Miss:
        """Returns the panorama nearest to a point if it is fit, or why there is none."""
        lat_deg, lon_deg = geometry.check_coords((lat_deg, lon_deg), "point").tolist()
        # Seven decimals are a centimetre.
        params = {"location": f"{lat_deg:.7f},{lon_deg:.7f}", "radius": str(self._options.radius_m)}
        if self._options.source_outdoor:
            params["source"] = "outdoor"
        found = self._panorama(params)
        if isinstance(found, source.Miss):
            return found
        return refusal((lat_deg, lon_deg), found, self._options) or found

    def find(self, pano_id: str) -> source.Panorama | source.Miss:
        """Returns the panorama of an id if it is fit, or why there is none."""
        found = self._panorama({"pano": pano_id})
        if isinstance(found, source.Miss):
            return found
        return refusal((found.lat_deg, found.lon_deg), found, self._options) or found

    def road_deg(self, panorama: source.Panorama) -> float | None:
        """Returns None: the API says nothing of roads."""
        return None

    def other_dates(self, panorama: source.Panorama) -> list[source.Panorama]:
        """Returns none: the API names one panorama for a place."""
        return []

    def fetch(self, panorama: source.Panorama, heading_deg: float) -> bytes:
        """Returns one view as JPEG bytes, as they came.

        See source.Source.fetch.

        Raises:
            OptionError: If the heading is not a finite number.
        """
        if not math.isfinite(heading_deg):
            raise errors.OptionError(f"heading {heading_deg} is not a number of degrees.", "give 0 to 360")
        options = self._options
        params = {
            "pano": panorama.pano_id,
            "size": f"{options.width_px}x{options.height_px}",
            "heading": f"{heading_deg % 360:.10g}",
            "fov": f"{options.fov_deg:.10g}",
            "pitch": f"{options.pitch_deg:.10g}",
            "return_error_code": "true",
        }
        answer = self._get("", params)
        content = responses.image(answer, f"panorama {panorama.pano_id} at {params['heading']} degrees")
        image_checks.check_street_view_image(
            content, options.height_px, options.width_px, answer.content_type, answer.content_length
        )
        return content

    def close(self) -> None:
        """Closes all connections."""
        self._transport.close()

    def _panorama(self, params: dict[str, str]) -> source.Panorama | source.Miss:
        """Returns the panorama of a metadata request."""
        record = responses.metadata(self._get("/metadata", params))
        return record if isinstance(record, source.Miss) else responses.panorama(record, self.name, self.licence)

    def _get(self, path: str, params: dict[str, str]) -> transport.Answer:
        """Sends one request with the key."""
        return self._transport.get(
            f"{self._options.api_base.rstrip('/')}{_PATH}{path}",
            params,
            secret_params={"key": self._key},
            signing_secret=self._signing_secret,
        )


def refusal(
    point: tuple[float, float], panorama: source.Panorama, options: street_view_options.StreetViewOptions
) -> source.Miss | None:
    """Returns why a panorama is not taken, or None if it is.

    Street View's `radius` is a hint (one query with a radius of 25 m returned a place 3,498.5 km away) and its
    `source=outdoor` lets photographs of users through, so both are checked here. That a panorama lies inside the cell
    and has not been seen before is the scraper's to check.

    Args:
        point: The point asked for, (lat, lon), degrees.
        panorama: What the service named.
        options: The rules.
    """
    distance_km = float(geometry.haversine_km(point, (panorama.lat_deg, panorama.lon_deg)))
    if distance_km > options.radius_m / 1000 + _TOLERANCE_KM:
        return source.Miss("too_far", f"{distance_km:.3f} km from the point asked for")
    if not options.allow_user_photos and not _OFFICIAL.fullmatch(panorama.copyright.strip()):
        return source.Miss("not_official", panorama.copyright)
    return options.date_refusal(panorama.date)

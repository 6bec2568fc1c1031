"""The Mapillary API v4, or a server that speaks it.

Pictures that people share, free, under CC BY-SA 4.0.

    token = secret.read_secret(mapillary_options.TOKEN_ENV)
    client = mapillary.Mapillary(mapillary_options.MapillaryOptions(), token)
    panorama = client.look_up(48.8584, 2.2945)
    content = client.fetch(panorama, heading_deg=90)

The token goes to the API alone, in a header; pictures come from other hosts by signed URLs, which expire and so are
asked for right before. Panoramas are cut into views here, as Mapillary gives them whole.
"""

import math
import threading
from collections.abc import Mapping, Sequence

from geods import errors
from geods.geo import geometry
from geods.imagery import acceptance, nearest_search, perspective, pictures, source
from geods.imagery.http import api_key, transport, url_policy
from geods.imagery.mapillary import mapillary_options, responses

LICENCE = "CC-BY-SA-4.0"
MOST_RESULTS = 2000
_FIELDS = ",".join(
    (
        *("id", "geometry", "computed_geometry", "captured_at", "compass_angle", "computed_compass_angle"),
        *("sequence", "is_pano", "camera_type", "creator"),
    )
)
# An original of 64 million pixels has up to 40 MB.
_LIMITS = {"2048": transport.Limits(), "original": transport.Limits(answer_s=120.0, max_bytes=40_000_000)}
_HOSTS_NEXT = "if that host is Mapillary's, add it to --mapillary_image_hosts and run the same command again"

_Answered = dict[nearest_search.Box, list[source.Panorama | source.Miss] | None]


class Mapillary:
    """A source.Source over HTTP.

    A look-up sends as many searches as it takes, and is one attempt.

    Args:
        options: What to ask for.
        token: Client token.
        limits: How long and how large an answer may be.
        most_results: Results at which an answer counts as full.

    Attributes:
        name: "mapillary"; or "simulated_mapillary", which any server on this machine is taken for.
        licence: Licence of its images.
        has_own_licences: False.
        units_per_image: 0.
    """

    has_own_licences, units_per_image = False, 0

    def __init__(
        self,
        options: mapillary_options.MapillaryOptions,
        token: api_key.Secret,
        limits: transport.Limits | None = None,
        most_results: int = MOST_RESULTS,
    ) -> None:
        """Opens no connection yet."""
        self._simulated = url_policy.is_loopback(options.mapillary_api_base)
        self.name = "simulated_mapillary" if self._simulated else "mapillary"
        self.licence = "Apache-2.0" if self._simulated else LICENCE
        self._options, self._most_results = options, most_results
        self._header = api_key.Secret(f"OAuth {token.reveal()}")
        self._transport = transport.Transport(limits or _LIMITS[options.mapillary_image])
        self._of_thread, self._last = threading.local(), pictures.LastOfThread[pictures.Picture]()

    def look_up(self, lat_deg: float, lon_deg: float) -> source.Panorama | source.Miss:
        """Returns the nearest picture that is fit, or why there is none.

        As source.Source.

        Args:
            lat_deg: Latitude, degrees.
            lon_deg: Longitude, degrees.

        Raises:
            CoordinateError: If it is no place on Earth.
            SourceStop: If asking is useless.
            SourceRetry: If there was no answer.
        """
        lat_deg, lon_deg = geometry.check_coords((lat_deg, lon_deg), "point").tolist()
        misses: list[source.Miss] = []
        answered = self._answered(lat_deg, lon_deg)

        def ask(box: nearest_search.Box) -> tuple[Sequence[nearest_search.Found[source.Panorama]], float]:
            if box not in answered:
                answered[box] = self._search(box)
            fit, records = [], answered[box]
            for taken in records or ():
                if isinstance(taken, source.Miss):
                    misses.append(taken)
                    continue
                away_km = float(geometry.haversine_km((lat_deg, lon_deg), (taken.lat_deg, taken.lon_deg)))
                fit.append(nearest_search.Found(away_km, taken.pano_id, taken))
            full = records is None or len(records) >= self._most_results
            return fit, 0.0 if full else math.inf

        best = nearest_search.search(lat_deg, lon_deg, self._options.mapillary_radius_m / 1000, ask)
        self._of_thread.answered = None
        if best:
            return best.result
        # Sorted, as the service gives them in no order.
        misses.sort(key=lambda miss: (miss.reason == "zero_results", miss.reason, miss.detail))
        return misses[0] if misses else source.Miss("zero_results")

    def find(self, pano_id: str) -> source.Panorama | source.Miss:
        """Returns the picture of an id if it is fit, or why there is none.

        See source.Source.find.
        """
        if not responses.identity({"id": pano_id}):
            return source.Miss("zero_results", pano_id)
        try:
            record = responses.parse(self._ask(f"/{pano_id}", {"fields": _FIELDS}), f"picture {pano_id}")
        except responses.GoneError:
            return source.Miss("zero_results", pano_id)
        except responses.TooMuchError as error:
            raise errors.SourceRetry("server", str(error)) from None
        return self._judged(record)

    def fetch(self, panorama: source.Panorama, heading_deg: float) -> bytes:
        """Returns one view as JPEG bytes; as source.Source.

        Args:
            panorama: What `look_up` returned.
            heading_deg: Where the camera looks, degrees clockwise from north; of a flat picture, its own heading.

        Raises:
            OptionError: If the heading is not a finite number.
            SourceStop: If asking is useless.
            SourceRetry: If there was no answer.
            ImageRefused: If what came is no view of the place.
        """
        pictures.check_heading(heading_deg)
        options, name = self._options, f"picture {panorama.pano_id}"
        picture = self._last.get(panorama.pano_id, lambda: self._picture(panorama.pano_id, name))
        shape = (options.pitch_deg, options.fov_deg, options.height_px, options.width_px)
        return pictures.view(picture, perspective.Camera(heading_deg, *shape), name)

    def close(self) -> None:
        """Closes all connections."""
        self._transport.close()

    def _answered(self, lat_deg: float, lon_deg: float) -> "_Answered":
        """Returns the answers so far to the searches of a look-up that failed.

        If it was for the same point.

        Without them a look-up of 13 searches, of which 1 in 10 fails, would fail in 3 of 4 attempts.
        """
        kept: tuple[tuple[float, float], _Answered] | None = getattr(self._of_thread, "answered", None)
        if kept is None or kept[0] != (lat_deg, lon_deg):
            kept = self._of_thread.answered = ((lat_deg, lon_deg), {})
        return kept[1]

    def _search(self, box: nearest_search.Box) -> list[source.Panorama | source.Miss] | None:
        """Returns the pictures in a box, fit or not; None if the box is too large."""
        options = self._options
        params = {"bbox": box.text, "fields": _FIELDS, "limit": str(self._most_results)}
        span = zip(("start_captured_at", "end_captured_at"), acceptance.time_span(options), strict=True)
        params |= {name: moment for name, moment in span if moment}
        params["is_pano"] = "true" if options.mapillary_kind == "panorama" else "false"
        try:
            record = responses.parse(self._ask("/images", params), "search")
        except responses.TooMuchError as error:
            if box.quarters:
                return None
            raise errors.SourceRetry("server", str(error)) from None
        except responses.GoneError as error:
            raise errors.SourceRetry("server", str(error)) from None
        return [self._judged(found) for found in responses.results(record)]

    def _judged(self, record: Mapping[str, object]) -> source.Panorama | source.Miss:
        """Returns a picture, or why it is not taken."""
        found = responses.panorama(record, self._options.mapillary_kind, self.name, self.licence)
        if isinstance(found, source.Miss):
            return found
        return acceptance.date_refusal(found.date, self._options) or found

    def _picture(self, pano_id: str, name: str) -> pictures.Picture:
        """Downloads a picture; its signed URL expires and so is asked for right before."""
        field = f"thumb_{self._options.mapillary_image}_url"
        fields = f"id,compass_angle,computed_compass_angle,computed_rotation,{field}"
        try:
            record = responses.parse(self._ask(f"/{pano_id}", {"fields": fields}), name)
        except (responses.GoneError, responses.TooMuchError) as error:
            raise errors.ImageRefused("gone", f"{error}.") from None
        centre_deg, url = responses.compass_deg(record), record.get(field)
        if centre_deg is None or not isinstance(url, str):
            raise errors.ImageRefused("gone", f"{name}: has no {field} or no compass angle any more.")
        if not self._is_allowed(url):
            problem = f"{name}: is at {pictures.shown_host(url)}, not a host of Mapillary's images."
            raise errors.SourceStop("request", problem, _HOSTS_NEXT)
        answer = pictures.download(self._transport, url, name, self._is_allowed, transient=True)
        flat = self._options.mapillary_kind == "flat"
        tilt = (0.0, 0.0) if flat else responses.tilt_deg(record)
        crop = None if flat else perspective.WHOLE
        return pictures.Picture(pictures.decode(answer, crop), perspective.Pose(centre_deg, *tilt), crop)

    def _is_allowed(self, url: str) -> bool:
        """Returns whether a picture may be fetched from a URL."""
        return pictures.is_allowed(url, self._options.mapillary_image_hosts, self._simulated)

    def _ask(self, path: str, params: dict[str, str]) -> transport.Answer:
        """Sends one request with the token."""
        url = f"{self._options.mapillary_api_base.rstrip('/')}{path}"
        return self._transport.get(url, params, secret_headers={"Authorization": self._header})

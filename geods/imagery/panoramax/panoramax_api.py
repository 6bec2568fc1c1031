"""Client of the Panoramax API (GeoVisio): street-level pictures without a key.

    client = panoramax_api.Panoramax(panoramax_options.PanoramaxOptions())
    panorama = client.look_up(48.8584, 2.2945)
    content = client.fetch(panorama, heading_deg=90)

Instances are federated: a catalogue answers for all of them, so that pictures lie on other hosts, which an allow list
names. Panoramas are levelled and cut into views here.
"""

import functools
import itertools
import math
from collections.abc import Sequence

from geods import errors
from geods.geo import geometry
from geods.imagery import nearest_search, pictures, source
from geods.imagery.http import status, transport, url_policy
from geods.imagery.panoramax import panoramax_options, responses

NAME = "panoramax"
LICENCE = "CC-BY-SA-4.0 or etalab-2.0, as views.csv says picture by picture"
# An item has about 4 kB; a box in a town holds thousands, of which the nearest come first.
MOST_RESULTS = 50
# Within 25 m; the server itself drops what is within 1 m and 60 degrees of another picture of the same upload.
_MOST_OTHERS = 1000
_FIRST_RADIUS_KM, _GROWTH = 0.15, 8
_KM_PER_DEG = math.radians(1) * geometry.EARTH_RADIUS_KM


class Panoramax(pictures.PictureClient):
    """A source.Source over HTTP, which describes its methods.

    A look-up sends as many searches as it takes, mostly one, and is one attempt.

    Args:
        options: What to ask for.
        limits: How long and how large an answer may be.
        most_results: Pictures to ask for at once.

    Attributes:
        name: "panoramax".
        licence: Licences of its images; each panorama says its own.
        has_own_licences: True.
        units_per_image: 0.
    """

    name, licence, has_own_licences = NAME, LICENCE, True

    def __init__(
        self,
        options: panoramax_options.PanoramaxOptions,
        limits: transport.Limits | None = None,
        most_results: int = MOST_RESULTS,
    ) -> None:
        """Opens no connection yet."""
        super().__init__(options, limits)
        self._options, self._most_results = options, most_results
        self._api = f"{options.api_base.rstrip('/')}/api"
        self._last_item = pictures.LastOfThread[responses.Item]()

    def look_up(self, lat_deg: float, lon_deg: float) -> source.Panorama | source.Miss:
        """Returns the nearest picture that is fit, or why there is none."""
        lat_deg, lon_deg = geometry.check_coords((lat_deg, lon_deg), "point").tolist()
        misses: dict[str, source.Miss] = {}
        end_km = self._options.radius_m / 1000
        radius_km, most = min(_FIRST_RADIUS_KM, end_km), self._most_results
        while True:
            ask = functools.partial(self._ask, (lat_deg, lon_deg), most, misses)
            best = nearest_search.search(lat_deg, lon_deg, radius_km, ask)
            if best:
                self._last_item.put(best.result.panorama.pano_id, best.result)
                return best.result.panorama
            if radius_km >= end_km:
                break
            radius_km, most = min(radius_km * _GROWTH, end_km), self._most_results * _GROWTH
        return pictures.main_miss(misses.values())

    def _ask(
        self, point: tuple[float, float], most: int, misses: dict[str, source.Miss], box: nearest_search.Box
    ) -> tuple[Sequence[nearest_search.Found[responses.Item]], float]:
        """Returns the fit pictures of a box and how near to the point more may be, km.

        Adds the others to `misses`.
        """
        records = self._search({"bbox": box.text, "limit": str(most)} | self._months(), "search")
        fit = []
        for judged in map(self._judged, records):
            if isinstance(judged, source.Miss):
                misses[judged.detail] = judged
                continue
            away_km = pictures.distance_km(point, judged.panorama)
            fit.append(nearest_search.Found(away_km, judged.panorama.pano_id, judged))
        return fit, _more_km(box, records, point) if len(records) >= most else math.inf

    def find(self, pano_id: str) -> source.Panorama | source.Miss:
        """Returns the picture of an id if it is fit, or why there is none."""
        records = self._search({"ids": pano_id}, "search")
        found = self._judged(records[0]) if records else source.Miss("zero_results", pano_id)
        if isinstance(found, source.Miss):
            return found
        self._last_item.put(pano_id, found)
        return found.panorama

    def road_deg(self, panorama: source.Panorama) -> float | None:
        """Returns the bearing from the picture before to the one after it, or None."""
        name = f"picture {panorama.pano_id}"
        return self._last_item.get(panorama.pano_id, lambda: self._found_again(panorama.pano_id, name)).road_deg

    def other_dates(self, panorama: source.Panorama) -> list[source.Panorama]:
        """Returns pictures of the same place, one for each other month, oldest first."""
        point = (panorama.lat_deg, panorama.lon_deg)
        found = []
        for box in nearest_search.around(*point, pictures.SAME_PLACE_KM):
            params = {"bbox": box.text, "limit": str(_MOST_OTHERS)} | self._months()
            found += [self._judged(record) for record in self._search(params, "search")]
        return pictures.one_a_month(panorama, (one.panorama for one in found if isinstance(one, responses.Item)))

    def _search(self, params: dict[str, str], what: str) -> list[responses.Record]:
        """Sends one search."""
        return responses.items(self._transport.get(f"{self._api}/search", params), what)

    def _months(self) -> dict[str, str]:
        """Returns the `datetime` parameter; none if undated pictures are taken.

        A search for a span leaves those out. Whole ISO times, as servers read bare months in ways of their own.
        """
        options, end = self._options, ".."
        if options.allow_undated or not (options.min_date or options.max_date):
            return {}
        if options.max_date:
            year, month = map(int, options.max_date.split("-"))
            end = f"{year + month // 12:04d}-{month % 12 + 1:02d}-01T00:00:00Z"
        return {"datetime": f"{f'{options.min_date}-01T00:00:00Z' if options.min_date else '..'}/{end}"}

    def _judged(self, record: responses.Record) -> responses.Item | source.Miss:
        """Returns a picture, or why it is not taken."""
        found = responses.item(record, self._options.panoramax_kind, self.name, self._options.any_licence)
        if isinstance(found, source.Miss):
            return found
        url = found.urls.get(self._asset(found), "")
        if not self._is_allowed(url):
            return source.Miss("other_host", f"{found.panorama.pano_id}: {pictures.shown_host(url)}")
        return self._options.date_refusal(found.panorama.date) or found

    def _asset(self, item: responses.Item) -> responses.Asset:
        """Returns the smaller of a picture's files that has enough pixels for a view.

        It is sd, always 2048 wide, or hd.
        """
        options, frame = self._options, item.frame_px
        if item.crop is not None:
            needed_px = options.camera(0).sphere_width_px
            shown_px = responses.SD_WIDTH_PX / (1 - item.crop.left - item.crop.right)
        else:
            if frame is None:
                return "hd"
            needed_px = max(options.width_px, math.ceil(options.height_px * frame[1] / frame[0]))
            # A smaller picture is enlarged to it.
            shown_px = min(responses.SD_WIDTH_PX, frame[1])
        return "sd" if "sd" in item.urls and needed_px <= shown_px else "hd"

    def _picture(self, pano_id: str, name: str) -> pictures.Picture:
        """Downloads a picture; one that an earlier run found is asked for again."""
        item = self._last_item.get(pano_id, lambda: self._found_again(pano_id, name))
        url = item.urls.get(self._asset(item), "")
        answer = pictures.download(self._transport, url, name, self._is_allowed, transient=False)
        return pictures.Picture(pictures.decode(answer, item.crop), item.pose, item.crop)

    def _found_again(self, pano_id: str, name: str) -> responses.Item:
        """Returns the item of an id."""
        judged = next(map(self._judged, self._search({"ids": pano_id}, name)), source.Miss("zero_results"))
        if isinstance(judged, source.Miss):
            raise errors.ImageRefused("gone", f"{name}: is no longer there ({judged.reason}).")
        return judged

    def _is_allowed(self, url: str) -> bool:
        """Returns whether a picture may be fetched from a URL."""
        base = self._options.api_base
        home = url_policy.host(base)
        return pictures.is_allowed(url, (*self._options.panoramax_hosts, home), url_policy.is_loopback(base))


def _more_km(box: nearest_search.Box, records: Sequence[responses.Record], point: tuple[float, float]) -> float:
    """Returns the least distance of pictures that a full answer left out, km.

    The server gives those first that are nearest to the middle of the box, measured in degrees as if a degree of
    longitude were as long as one of latitude. Nothing nearer than the last is missing then; 0 if the order, or the
    middle of the box, is another.
    """
    middle = ((box.south + box.north) / 2, (box.west + box.east) / 2)
    if math.dist(middle, point) > 1e-6:
        return 0.0
    places = [place for place in (status.position(record.get("geometry")) for record in records) if place]
    away_deg = [math.hypot(lat - middle[0], (lon - middle[1] + 180) % 360 - 180) for lat, lon in places]
    if any(near > far + 1e-9 for near, far in itertools.pairwise(away_deg)) or not away_deg:
        return 0.0
    shortest_km = _KM_PER_DEG * math.cos(math.radians(min(max(abs(box.south), abs(box.north)), 90.0)))
    # Less a thousandth, for the sphere's curvature in a box of 200 km.
    return away_deg[-1] * shortest_km * 0.999

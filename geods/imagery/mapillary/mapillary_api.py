"""Client of the Mapillary API v4, whose pictures are free under CC BY-SA 4.0.

    token = api_key.read_secret(mapillary_options.TOKEN_ENV)
    client = mapillary_api.Mapillary(mapillary_options.MapillaryOptions(), token)
    panorama = client.look_up(48.8584, 2.2945)
    content = client.fetch(panorama, heading_deg=90)

Vector tiles give the positions of pictures, one request a picture gives the rest. The token goes to the API, in a
header, and to the tiles, which take it as a parameter; pictures come from other hosts by signed URLs, which expire and
are therefore requested right before. Panoramas are cut into views here, as Mapillary gives them whole.
"""

import time
from collections.abc import Mapping, Sequence

from geods import errors
from geods.geo import geometry
from geods.imagery import perspective, pictures, source
from geods.imagery.http import api_key, transport, url_policy
from geods.imagery.mapillary import mapillary_options, responses, vector_tiles

LICENCE = "CC-BY-SA-4.0"
_FIELDS = (
    *("id", "geometry", "computed_geometry", "captured_at", "compass_angle", "computed_compass_angle"),
    *("computed_rotation", "sequence", "is_pano", "camera_type", "creator"),
)
# Pictures near a point to ask about before it counts as a miss: those the API tells more of than the tile, and no more.
_MOST_ASKED = 10
# How long the URL that came with a look-up is used.
_URL_S = 60.0
_HOSTS_NEXT = "if that host is Mapillary's, add it to --mapillary_image_hosts and run the same command again"


class Mapillary(pictures.PictureClient):
    """A source.Source over HTTP, which describes its methods.

    A look-up asks for the tiles around the point that are not kept and for the nearest picture, and is one attempt.

    Args:
        options: What to ask for.
        token: Client token.
        limits: How long and how large an answer may be.

    Attributes:
        name: "mapillary"; or "simulated_mapillary", which any server on this machine is taken for.
        licence: Licence of its images.
        has_own_licences: False.
        units_per_image: 0.
    """

    has_own_licences = False

    def __init__(
        self,
        options: mapillary_options.MapillaryOptions,
        token: api_key.Secret,
        limits: transport.Limits | None = None,
    ) -> None:
        """Opens no connection yet."""
        super().__init__(options, limits)
        self._simulated = url_policy.is_loopback(options.mapillary_api_base)
        self.name = "simulated_mapillary" if self._simulated else "mapillary"
        self.licence = "Apache-2.0" if self._simulated else LICENCE
        self._options, self._token = options, token
        self._header = api_key.Secret(f"OAuth {token.reveal()}")
        self._tiles = vector_tiles.Tiles(self._load)
        self._last_record = pictures.LastOfThread[tuple[float, Mapping[str, object]]]()

    def look_up(self, lat_deg: float, lon_deg: float) -> source.Panorama | source.Miss:
        """Returns the nearest picture that is fit, or why there is none."""
        lat_deg, lon_deg = geometry.check_coords((lat_deg, lon_deg), "point").tolist()
        radius_km, misses, asked = self._options.mapillary_radius_m / 1000, list[source.Miss](), 0
        for _, feature in self._tiles.nearest((lat_deg, lon_deg), radius_km):
            miss = self._options.date_refusal(responses.month(feature.captured_at))
            if miss is None:
                found, asked = self.find(feature.pano_id), asked + 1
                # The position that Mapillary computed may be another than the camera's.
                if isinstance(found, source.Panorama) and pictures.distance_km((lat_deg, lon_deg), found) <= radius_km:
                    return found
                miss = found if isinstance(found, source.Miss) else source.Miss("too_far", found.pano_id)
            misses.append(miss)
            if asked == _MOST_ASKED:
                break
        return pictures.main_miss(misses)

    def find(self, pano_id: str) -> source.Panorama | source.Miss:
        """Returns the picture of an id if it is fit, or why there is none."""
        if not responses.identity({"id": pano_id}):
            return source.Miss("zero_results", pano_id)
        try:
            record = self._described(pano_id, f"picture {pano_id}")
        except responses.GoneError:
            return source.Miss("zero_results", pano_id)
        self._last_record.put(pano_id, (time.monotonic(), record))
        found = responses.panorama(record, self._options.mapillary_kind, self.name, self.licence)
        if isinstance(found, source.Miss):
            return found
        return self._options.date_refusal(found.date) or found

    def road_deg(self, panorama: source.Panorama) -> float | None:
        """Returns the bearing from the picture before to the one after it, or None."""
        return self._tiles.road_deg(panorama.pano_id, (panorama.lat_deg, panorama.lon_deg))

    def other_dates(self, panorama: source.Panorama) -> list[source.Panorama]:
        """Returns pictures of the same place, one for each other month, oldest first."""
        nearest: dict[str, str] = {}
        for _, feature in self._tiles.nearest((panorama.lat_deg, panorama.lon_deg), pictures.SAME_PLACE_KM):
            month = responses.month(feature.captured_at)
            if month and month != panorama.date and not self._options.date_refusal(month):
                nearest.setdefault(month, feature.pano_id)
        found = [self.find(pano_id) for pano_id in nearest.values()]
        return pictures.one_a_month(panorama, (one for one in found if isinstance(one, source.Panorama)))

    def _load(self, tile: vector_tiles.Tile) -> Sequence[vector_tiles.Feature]:
        """Returns the pictures of a tile that are of the kind asked for."""
        url = f"{self._options.tile_base.rstrip('/')}/maps/vtp/mly1_public/2/{tile.path}"
        answer = self._transport.get(url, secret_params={"access_token": self._token})
        # Nothing there: no content, or no file.
        if answer.status in (204, 404) or (answer.status == 200 and not answer.content):
            return ()
        responses.check_tile(answer, f"tile {tile.path}")
        is_pano = self._options.mapillary_kind == "panorama"
        return [feature for feature in vector_tiles.decode(answer.content, tile) if feature.is_pano == is_pano]

    def _picture(self, pano_id: str, name: str) -> pictures.Picture:
        """Downloads a picture; the URL of the look-up is used once, while it is fresh."""
        began_s, record = self._last_record.take(pano_id) or (0.0, {})
        if not record or time.monotonic() - began_s > _URL_S:
            try:
                record = self._described(pano_id, name)
            except responses.GoneError as error:
                raise errors.ImageRefused("gone", f"{error}.") from None
        centre_deg, url = responses.compass_deg(record), record.get(self._url_field)
        if centre_deg is None or not isinstance(url, str):
            raise errors.ImageRefused("gone", f"{name}: has no {self._url_field} or no compass angle any more.")
        if not self._is_allowed(url):
            problem = f"{name}: is at {pictures.shown_host(url)}, not a host of Mapillary's images."
            raise errors.SourceStop("request", problem, _HOSTS_NEXT)
        answer = pictures.download(self._transport, url, name, self._is_allowed, transient=True)
        flat = self._options.mapillary_kind == "flat"
        tilt = (0.0, 0.0) if flat else responses.tilt_deg(record)
        crop = None if flat else perspective.WHOLE
        return pictures.Picture(pictures.decode(answer, crop), perspective.Pose(centre_deg, *tilt), crop)

    @property
    def _url_field(self) -> str:
        """Name of the field with the URL of the picture."""
        return f"thumb_{self._options.mapillary_image}_url"

    def _described(self, pano_id: str, what: str) -> Mapping[str, object]:
        """Returns the record of a picture, with a fresh URL.

        Raises:
            GoneError: If there is no such picture.
        """
        url = f"{self._options.mapillary_api_base.rstrip('/')}/{pano_id}"
        fields = {"fields": ",".join((*_FIELDS, self._url_field))}
        return responses.parse(self._transport.get(url, fields, secret_headers={"Authorization": self._header}), what)

    def _is_allowed(self, url: str) -> bool:
        """Returns whether a picture may be fetched from a URL."""
        return pictures.is_allowed(url, self._options.mapillary_image_hosts, self._simulated)

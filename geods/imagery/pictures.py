"""Whole pictures and their views, for the clients of Mapillary and Panoramax.

A picture is fetched once for all the views of a location: each thread keeps the last one.
"""

import dataclasses
import io
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np
from PIL import Image, ImageOps

from geods import errors
from geods.geo import geometry
from geods.imagery import acceptance, image_checks, perspective, source
from geods.imagery.http import status, transport, url_policy

Value = TypeVar("Value")

_REDIRECTS = (301, 302, 303, 307, 308)
_UNUSABLE = "no usable URL"
_GONE = (400, 401, 403, 404, 410)
# Pictures of other dates count as of the same place up to here: the width of a road, and twice a receiver's error.
SAME_PLACE_KM = 0.025
# An original of 64 million pixels has up to 40 MB, Panoramax's largest 60 MB.
_LIMITS = transport.Limits(answer_s=120.0, max_bytes=60_000_000)


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A whole picture.

    Attributes:
        pixels: `[h, w, 3]` uint8, RGB.
        pose: How its camera stood.
        crop: What a panorama lacks of the sphere; None of a flat picture.
    """

    pixels: perspective.Pixels
    pose: perspective.Pose
    crop: perspective.Crop | None = None
    _thinned: dict[tuple[float, int, int], perspective.Pixels] = dataclasses.field(default_factory=dict, repr=False)

    def thinned(self, camera: perspective.Camera) -> perspective.Pixels:
        """Returns the panorama at the views' resolution, made once for all headings."""
        shape = (camera.fov_deg, camera.height_px, camera.width_px)
        if shape not in self._thinned:
            self._thinned[shape] = perspective.thin(self.pixels, camera, self.crop or perspective.WHOLE)
        return self._thinned[shape]


class LastOfThread(Generic[Value]):
    """The last value of each thread, by name."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def put(self, name: str, value: Value) -> None:
        """Keeps a value in the place of the last one."""
        self._of_thread.kept = (name, value)

    def take(self, name: str) -> Value | None:
        """Returns the last value if it has this name, and forgets it."""
        kept: tuple[str, Value] | None = getattr(self._of_thread, "kept", None)
        self._of_thread.kept = None
        return kept[1] if kept and kept[0] == name else None

    def get(self, name: str, load: Callable[[], Value]) -> Value:
        """Returns a value, loading it if it is not the last one of this thread."""
        kept: tuple[str, Value] | None = getattr(self._of_thread, "kept", None)
        if kept is None or kept[0] != name:
            kept = (name, load())
            self.put(*kept)
        return kept[1]


class PictureClient:
    """The part of a source.Source that is the same for all that give whole pictures.

    Args:
        options: Time and view.
        limits: How long and how large an answer may be.
    """

    units_per_image = 0

    def __init__(self, options: acceptance.SourceOptions, limits: transport.Limits | None) -> None:
        """Opens no connection yet."""
        self._view_options = options
        self._transport = transport.Transport(limits or _LIMITS)
        self._last_picture = LastOfThread[Picture]()

    def fetch(self, panorama: source.Panorama, heading_deg: float) -> bytes:
        """Returns one view as JPEG bytes, a flat picture's at its own heading."""
        camera, name = self._view_options.camera(heading_deg), f"picture {panorama.pano_id}"
        picture = self._last_picture.get(panorama.pano_id, lambda: self._picture(panorama.pano_id, name))
        return view(picture, camera, name)

    def close(self) -> None:
        """Closes all connections."""
        self._transport.close()

    def _picture(self, pano_id: str, name: str) -> Picture:
        """Downloads a picture."""
        raise NotImplementedError


def main_miss(misses: Iterable[source.Miss]) -> source.Miss:
    """Returns the miss that says most about a place, in whatever order they came."""
    ranked = sorted(misses, key=lambda miss: (miss.reason == "zero_results", miss.reason, miss.detail))
    return ranked[0] if ranked else source.Miss("zero_results")


def distance_km(point: tuple[float, float], panorama: source.Panorama) -> float:
    """Returns the distance of a panorama from a point (lat, lon)."""
    return float(geometry.haversine_km(point, (panorama.lat_deg, panorama.lon_deg)))


def one_a_month(panorama: source.Panorama, others: Iterable[source.Panorama]) -> list[source.Panorama]:
    """Returns the nearest of the others for each other month, oldest first.

    Args:
        panorama: Decides the place and the month that is left out.
        others: Candidates; those without a date or farther than SAME_PLACE_KM are left out.
    """
    point, nearest = (panorama.lat_deg, panorama.lon_deg), dict[str, tuple[float, str, source.Panorama]]()
    for other in others:
        ranked = (distance_km(point, other), other.pano_id, other)
        if other.date and other.date != panorama.date and ranked[0] <= SAME_PLACE_KM:
            nearest[other.date] = min(nearest.get(other.date, ranked), ranked, key=lambda one: one[:2])
    return [nearest[date][2] for date in sorted(nearest)]


def download(
    client: transport.Transport, url: str, name: str, is_allowed: Callable[[str], bool], transient: bool
) -> transport.Answer:
    """Returns the response with a picture, after at most one allowed redirect.

    No token is sent.

    Args:
        client: Sends the requests.
        url: Where the picture is.
        name: Name of the picture, for messages.
        is_allowed: Whether a picture may be fetched from a URL.
        transient: Whether another attempt may get another URL where this one is not served.

    Raises:
        SourceRetry: If the host failed or was asked too fast.
        ImageRefused: "gone", if the URL is not served, or no longer.
    """
    answer = client.get(url)
    if answer.status in _REDIRECTS and is_allowed(answer.location):
        answer = client.get(answer.location)
    if answer.status in _GONE:
        problem = f"{name}: its URL is not served, or no longer (HTTP status {answer.status})."
        raise errors.ImageRefused("gone", problem, transient=transient)
    status.check(answer, name)
    return answer


def decode(answer: transport.Answer, crop: perspective.Crop | None) -> perspective.Pixels:
    """Returns the pixels of a picture, `[h, w, 3]` uint8, RGB.

    Args:
        answer: The whole JPEG.
        crop: What a panorama lacks; None of a flat picture, which is turned as its EXIF says.

    Raises:
        ImageRefused: If it is no whole JPEG, or a panorama that is not twice as wide as high.
    """
    height_px, width_px = image_checks.check_whole(answer.content, answer.content_type, answer.content_length)
    if crop is not None:
        perspective.check_ratio(height_px, width_px, crop)
    with Image.open(io.BytesIO(answer.content), formats=("JPEG",)) as image:
        upright = ImageOps.exif_transpose(image) if crop is None else image
        return np.asarray(upright.convert("RGB"))


def view(picture: Picture, camera: perspective.Camera, name: str) -> bytes:
    """Returns a view as JPEG: cut out of a panorama, or a flat picture's middle.

    Args:
        picture: The picture.
        camera: Where the view looks, and its size; of a flat picture, its own heading.
        name: Name of the picture, for messages.

    Raises:
        ImageRefused: "gone", if a flat picture looks elsewhere; "error_image", if most of the view is of one colour; as
            perspective.cut and perspective.fit.
    """
    if picture.crop is not None:
        pixels = perspective.cut_thinned(picture.thinned(camera), picture.pose, camera, picture.crop)
    else:
        centre_deg = picture.pose.heading_deg
        if abs((centre_deg - camera.heading_deg + 180) % 360 - 180) > 1:
            problem = f"{name}: it looks to {centre_deg:.0f} degrees, no longer to {camera.heading_deg:g}."
            raise errors.ImageRefused("gone", problem)
        pixels = perspective.fit(picture.pixels, camera.height_px, camera.width_px)
    content = perspective.to_jpeg(pixels)
    share, colour = image_checks.flat_share(image_checks.block_means(content))
    if share > image_checks.FLAT_SHARE:
        problem = f"{name}: {share:.0%} of the view to {camera.heading_deg:g} degrees is of one colour, {colour}."
        raise errors.ImageRefused("error_image", problem)
    return content


def is_allowed(url: str, domains: Sequence[str], from_this_machine: bool) -> bool:
    """Returns whether a picture may be fetched from a URL.

    Args:
        url: The URL.
        domains: Allowed domains, with their subdomains, by https.
        from_this_machine: Whether servers on this machine are allowed as well, by http too.
    """
    if shown_host(url) == _UNUSABLE:
        return False
    host = url_policy.host(url)
    if from_this_machine and url_policy.is_loopback(url):
        return True
    return url.startswith("https://") and any(host == domain or host.endswith(f".{domain}") for domain in domains)


def shown_host(url: str) -> str:
    """Returns the host of a URL for a message, or that it is unusable."""
    try:
        url_policy.check(url)
    except errors.OptionError:
        return _UNUSABLE
    return status.shown(url_policy.host(url))

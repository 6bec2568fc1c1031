"""Whole pictures of a source and their views, for Mapillary and Panoramax.

A picture is fetched once for all the views of a location: each thread keeps the last one.
"""

import dataclasses
import io
import math
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
from PIL import Image, ImageOps

from geods import errors
from geods.imagery import image_checks, perspective
from geods.imagery.http import status, transport, url_policy

Value = TypeVar("Value")

_REDIRECTS = (301, 302, 303, 307, 308)
_UNUSABLE = "no usable URL"
_GONE = (400, 401, 403, 404, 410)


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

    def get(self, name: str, load: Callable[[], Value]) -> Value:
        """Returns a value, loading it if it is not the last one of this thread."""
        kept: tuple[str, Value] | None = getattr(self._of_thread, "kept", None)
        if kept is None or kept[0] != name:
            kept = (name, load())
            self.put(*kept)
        return kept[1]


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


def check_heading(heading_deg: float) -> None:
    """Raises OptionError if a heading is not a finite number of degrees."""
    if not math.isfinite(heading_deg):
        raise errors.OptionError(f"heading {heading_deg} is not a number of degrees.", "give 0 to 360")


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

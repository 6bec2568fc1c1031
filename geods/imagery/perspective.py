"""Cuts what a camera would see out of a panorama of the whole sphere.

    view = perspective.cut(pixels, 12.5, perspective.Camera(heading_deg=90))
    content = perspective.to_jpeg(view)

A panorama is equirectangular: columns are bearings, evenly, and rows elevations from the zenith to the nadir. A view is
rectilinear: straight lines stay straight. The heading is that of the view's centre, `fov_deg` the angle between its
left and right edges, as in the Street View Static API.
"""

import dataclasses
import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from geods import errors
from geods.geo import geometry

Pixels = npt.NDArray[np.uint8]
_QUALITY = 90
# A sphere is twice as wide as high; cameras round, and that much off moves nothing by more than half a degree.
_RATIO_TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class Camera:
    """Where it looks, and onto how many pixels.

    Attributes:
        heading_deg: Degrees clockwise from north.
        pitch_deg: Angle above the horizon, -90 to 90 degrees.
        fov_deg: Horizontal field of view, 1 to 170 degrees.
        height_px: Height of the view.
        width_px: Width of the view.
    """

    heading_deg: float
    pitch_deg: float = 10.0
    fov_deg: float = 100.0
    height_px: int = 300
    width_px: int = 600

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range.
        """
        if not math.isfinite(self.heading_deg):
            raise errors.OptionError(f"heading {self.heading_deg} is not a number of degrees.", "give 0 to 360")
        ranges = {"pitch_deg": (-90, 90), "fov_deg": (1, 170), "height_px": (1, 4096), "width_px": (1, 4096)}
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise errors.OptionError(f"{name}={value}: is not from {least} to {most}.", "give one in that range")

    def bearings_and_elevations(self) -> tuple[geometry.Array, geometry.Array]:
        """Returns where the centres of its pixels look, both `[height_px, width_px]` degrees."""
        focal_px = self.width_px / 2 / math.tan(math.radians(self.fov_deg / 2))
        right = (np.arange(self.width_px) + 0.5 - self.width_px / 2)[None, :]
        up = (self.height_px / 2 - np.arange(self.height_px) - 0.5)[:, None]
        sin, cos = math.sin(math.radians(self.pitch_deg)), math.cos(math.radians(self.pitch_deg))
        # The camera tilts about its right-hand axis; ahead is level.
        ahead, risen = focal_px * cos - up * sin, focal_px * sin + up * cos
        bearings = self.heading_deg + np.degrees(np.arctan2(right, ahead))
        return bearings % 360, np.degrees(np.arctan2(risen, np.hypot(right, ahead)))


def check_ratio(height_px: int, width_px: int) -> None:
    """Does nothing if a picture can be of the whole sphere.

    Raises:
        ImageRefused: "wrong_size", if it is not twice as wide as high: of a part of the sphere, nothing says which.
    """
    if abs(width_px / 2 - height_px) > max(1.0, _RATIO_TOLERANCE * height_px):
        problem = f"the panorama has {width_px} x {height_px} pixels, and is not twice as wide as high."
        raise errors.ImageRefused("wrong_size", problem)


def cut(panorama: Pixels, centre_heading_deg: float, camera: Camera) -> Pixels:
    """Returns what a camera sees, `[height_px, width_px, 3]` uint8.

    Bilinear between the four nearest pixels; a panorama much finer than the view is first averaged to less than twice
    the view's density, so that no detail is skipped.

    Args:
        panorama: `[h, 2 h, 3]` uint8, RGB.
        centre_heading_deg: Bearing of the panorama's middle, degrees clockwise from north.
        camera: The camera.

    Raises:
        ImageRefused: If the panorama is not twice as wide as high.
        OptionError: If the bearing is not a finite number.
    """
    if not math.isfinite(centre_heading_deg):
        raise errors.OptionError(f"heading {centre_heading_deg} is not a number of degrees.", "give 0 to 360")
    check_ratio(*panorama.shape[:2])
    pixels = _thin(panorama, camera)
    height_px, width_px = pixels.shape[:2]
    bearings, elevations = camera.bearings_and_elevations()
    # Pixel k spans k to k + 1, so its centre is at k + 0.5.
    columns = ((bearings - centre_heading_deg) / 360 + 0.5) * width_px - 0.5
    rows = (0.5 - elevations / 180) * height_px - 0.5
    return _sample(pixels, columns, rows)


def fit(picture: Pixels, height_px: int, width_px: int) -> Pixels:
    """Returns the middle of a flat picture in another size, `[height_px, width_px, 3]`, as large as its shape allows.

    Args:
        picture: `[h, w, 3]` uint8, RGB.
        height_px: Rows wanted.
        width_px: Columns wanted.

    Raises:
        ImageRefused: "wrong_size", if it would have to be enlarged.
    """
    old_height, old_width = picture.shape[:2]
    scale = min(old_height / height_px, old_width / width_px)
    if scale < 1:
        problem = f"the picture has {old_width} x {old_height} pixels, less than {width_px} x {height_px}."
        raise errors.ImageRefused("wrong_size", problem)
    left, top = (old_width - width_px * scale) / 2, (old_height - height_px * scale) / 2
    box = (left, top, left + width_px * scale, top + height_px * scale)
    return np.asarray(Image.fromarray(picture).resize((width_px, height_px), Image.Resampling.LANCZOS, box))


def to_jpeg(view: Pixels) -> bytes:
    """Returns a view as the bytes of a JPEG without metadata.

    Args:
        view: `[h, w, 3]` uint8, RGB.
    """
    with io.BytesIO() as target:
        Image.fromarray(view).save(target, "JPEG", quality=_QUALITY, subsampling="4:2:0")
        return target.getvalue()


def _thin(panorama: Pixels, camera: Camera) -> Pixels:
    """Returns a panorama with less than twice the pixels a degree of the view's middle, where they are fewest."""
    focal_px = camera.width_px / 2 / math.tan(math.radians(camera.fov_deg / 2))
    factor = int(panorama.shape[1] / 360 / (focal_px * math.radians(1)))
    if factor < 2:
        return panorama
    size = (max(2, panorama.shape[1] // factor), max(1, panorama.shape[0] // factor))
    return np.asarray(Image.fromarray(panorama).resize(size, Image.Resampling.BOX))


def _sample(pixels: Pixels, columns: geometry.Array, rows: geometry.Array) -> Pixels:
    """Returns the pixels at fractional positions: columns go round, rows end at the poles."""
    height_px, width_px = pixels.shape[:2]
    left, rows = np.floor(columns).astype(np.int64), np.clip(rows, 0, height_px - 1)
    top = np.minimum(rows.astype(np.int64), max(height_px - 2, 0))
    across, down = ((columns - left)[..., None], (rows - top)[..., None])
    right, bottom = (left + 1) % width_px, np.minimum(top + 1, height_px - 1)
    left = left % width_px
    upper = pixels[top, left] * (1 - across) + pixels[top, right] * across
    lower = pixels[bottom, left] * (1 - across) + pixels[bottom, right] * across
    return np.rint(upper * (1 - down) + lower * down).astype(np.uint8)

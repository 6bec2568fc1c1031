"""Perspective views cut out of a panorama of the whole sphere.

    view = perspective.cut(pixels, perspective.Pose(12.5), perspective.Camera(heading_deg=90))
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

    @property
    def focal_px(self) -> float:
        """Focal length, pixels."""
        return self.width_px / 2 / math.tan(math.radians(self.fov_deg / 2))

    @property
    def sphere_width_px(self) -> float:
        """Width of a panorama with as many pixels a degree as the view's middle.

        The view has the fewest there.
        """
        return 2 * math.pi * self.focal_px

    def bearings_and_elevations(self) -> tuple[geometry.Array, geometry.Array]:
        """Returns the directions of pixel centres, two `[height_px, width_px]` degrees."""
        focal_px = self.focal_px
        right = (np.arange(self.width_px) + 0.5 - self.width_px / 2)[None, :]
        up = (self.height_px / 2 - np.arange(self.height_px) - 0.5)[:, None]
        sin, cos = math.sin(math.radians(self.pitch_deg)), math.cos(math.radians(self.pitch_deg))
        # The camera tilts about its right-hand axis; ahead is level.
        ahead, risen = focal_px * cos - up * sin, focal_px * sin + up * cos
        bearings = self.heading_deg + np.degrees(np.arctan2(right, ahead))
        return bearings % 360, np.degrees(np.arctan2(risen, np.hypot(right, ahead)))


@dataclasses.dataclass(frozen=True)
class Pose:
    """Pose of a panorama's camera, as in XMP's GPano.

    See https://developers.google.com/streetview/spherical-metadata.

    Attributes:
        heading_deg: Bearing of the panorama's middle, degrees clockwise from north.
        pitch_deg: Elevation of its middle above the horizon, degrees.
        roll_deg: Degrees by which the camera leant to its right; the horizon turns counterclockwise in the picture.
    """

    heading_deg: float
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is not a finite number.
        """
        for field in dataclasses.fields(self):
            if not math.isfinite(value := getattr(self, field.name)):
                problem = f"{field.name.removesuffix('_deg')} {value} is not a number of degrees."
                raise errors.OptionError(problem, "give -180 to 360")

    def bearings_and_elevations(self, camera: Camera) -> tuple[geometry.Array, geometry.Array]:
        """Returns the positions of a camera's pixels in the panorama, degrees.

        They count from its middle, -180 to 180 and -90 to 90.

        Args:
            camera: The camera, in the level world.
        """
        bearings, elevations = camera.bearings_and_elevations()
        aside, level = np.radians(bearings - self.heading_deg), np.radians(elevations)
        right, ahead, up = np.cos(level) * np.sin(aside), np.cos(level) * np.cos(aside), np.sin(level)
        for angle_deg, turn in ((self.pitch_deg, "pitch"), (self.roll_deg, "roll")):
            sin, cos = math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
            if turn == "pitch":
                ahead, up = ahead * cos + up * sin, up * cos - ahead * sin
            else:
                right, up = right * cos - up * sin, up * cos + right * sin
        return np.degrees(np.arctan2(right, ahead)), np.degrees(np.arctan2(up, np.hypot(right, ahead)))


@dataclasses.dataclass(frozen=True)
class Crop:
    """Missing parts of the whole sphere's frame.

    Each as a share of the frame's width or height, 0 to 1.
    """

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


WHOLE = Crop()


def check_ratio(height_px: int, width_px: int, crop: Crop = WHOLE) -> None:
    """Raises ImageRefused if the sides do not fit a sphere with this crop.

    Raises:
        ImageRefused: "wrong_size", if its frame is not twice as wide as high: of a part of the sphere, nothing says
            which.
    """
    wide, high = width_px / (1 - crop.left - crop.right), height_px / (1 - crop.top - crop.bottom)
    if abs(wide / 2 - high) > max(1.0, _RATIO_TOLERANCE * high):
        problem = f"the panorama has {wide:.0f} x {high:.0f} pixels, and is not twice as wide as high."
        raise errors.ImageRefused("wrong_size", problem)


def cut(panorama: Pixels, pose: Pose | float, camera: Camera, crop: Crop = WHOLE) -> Pixels:
    """Returns the level view of a camera, `[height_px, width_px, 3]` uint8.

    Bilinear between the four nearest pixels; a panorama much finer than the view is first averaged to less than twice
    the view's density, so that no detail is skipped.

    Args:
        panorama: `[h, 2 h, 3]` uint8, RGB, less what is cropped.
        pose: How its camera stood; a number is the heading of one that stood upright.
        camera: The camera.
        crop: What it lacks of the sphere.

    Raises:
        ImageRefused: "wrong_size", if the panorama is not twice as wide as high; "cropped", if the view shows what it
            lacks.
        OptionError: If an angle is not a finite number.
    """
    return cut_thinned(thin(panorama, camera, crop), pose if isinstance(pose, Pose) else Pose(pose), camera, crop)


def cut_thinned(pixels: Pixels, pose: Pose, camera: Camera, crop: Crop = WHOLE) -> Pixels:
    """Returns the level view of a camera from a thinned panorama; see `cut`.

    Args:
        pixels: Result of `thin` for a camera of this size and field of view.
        pose: How its camera stood.
        camera: The camera.
        crop: What it lacks of the sphere.
    """
    wide, high = 1 - crop.left - crop.right, 1 - crop.top - crop.bottom
    height_px, width_px = pixels.shape[:2]
    bearings, elevations = pose.bearings_and_elevations(camera)
    across, down = (bearings / 360 + 0.5 - crop.left) / wide, (0.5 - elevations / 180 - crop.top) / high
    if crop != WHOLE:
        _check_within(across if wide < 1 else np.zeros(1), down)
    # Pixel k spans k to k + 1, so its centre is at k + 0.5.
    return _sample(pixels, across * width_px - 0.5, down * height_px - 0.5)


def fit(picture: Pixels, height_px: int, width_px: int) -> Pixels:
    """Returns the middle of a flat picture, `[height_px, width_px, 3]`.

    The part is as large as the shape of the view allows.

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


def _check_within(across: geometry.Array, down: geometry.Array) -> None:
    """Raises ImageRefused if positions lie beside a cropped picture.

    They are shares of the picture.
    """
    outside = float(np.mean((down < 0) | (down > 1)) + np.mean((across < 0) | (across > 1)))
    if outside:
        raise errors.ImageRefused("cropped", f"{outside:.1%} of the view lies outside the cropped panorama.")


def thin(panorama: Pixels, camera: Camera, crop: Crop = WHOLE) -> Pixels:
    """Returns a panorama with less than twice the pixels a degree of the view.

    Compared at the view's middle, where they are fewest. One result serves all headings.

    Raises:
        ImageRefused: "wrong_size", as `check_ratio`.
    """
    check_ratio(panorama.shape[0], panorama.shape[1], crop)
    factor = int(panorama.shape[1] / (1 - crop.left - crop.right) / camera.sphere_width_px)
    if factor < 2:
        return panorama
    size = (max(2, panorama.shape[1] // factor), max(1, panorama.shape[0] // factor))
    return np.asarray(Image.fromarray(panorama).resize(size, Image.Resampling.BOX))


def _sample(pixels: Pixels, columns: geometry.Array, rows: geometry.Array) -> Pixels:
    """Returns the pixels at fractional positions.

    Columns wrap around, rows end at the poles.
    """
    height_px, width_px = pixels.shape[:2]
    left, rows = np.floor(columns).astype(np.int64), np.clip(rows, 0, height_px - 1)
    top = np.minimum(rows.astype(np.int64), max(height_px - 2, 0))
    across, down = ((columns - left)[..., None], (rows - top)[..., None])
    right, bottom = (left + 1) % width_px, np.minimum(top + 1, height_px - 1)
    left = left % width_px
    upper = pixels[top, left] * (1 - across) + pixels[top, right] * across
    lower = pixels[bottom, left] * (1 - across) + pixels[bottom, right] * across
    return np.rint(upper * (1 - down) + lower * down).astype(np.uint8)

"""Views of a panorama as JPEGs, as flat cameras would have taken them.

    found = sphere_views.cut(content, sphere, north_deg=90.0, headings_deg=(0, 90, 180, 270))

Cut as the views of Mapillary and Panoramax are: 600 x 300 pixels, 100 degrees wide, 10 degrees above the horizon.
"""

import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from geods.imagery import perspective
from geods.tree import orientation, panorama

HEADINGS_DEG = (0.0, 90.0, 180.0, 270.0)
# Twice what a view of 600 pixels and 100 degrees shows at its middle.
_FRAME_WIDTH_PX = 4096
# A view that shows less of the picture, and more of what is missing around it, is none.
_LEAST_SHOWN = 0.5


def views_of(content: bytes, height_px: int, width_px: int) -> Iterator[bytes]:
    """Yields the JPEGs of a panorama's views; none of a flat picture.

    Where north is not known, headings count from the panorama's middle.
    """
    sphere = panorama.sphere_of(content, height_px, width_px)
    if sphere and not sphere.problem:
        yield from (view for _, view in cut(content, sphere, sphere.heading_deg or 0.0, HEADINGS_DEG))


def cut(
    content: bytes, sphere: panorama.Sphere, north_deg: float, headings_deg: Sequence[float]
) -> Iterator[tuple[float, bytes]]:
    """Yields the heading and the JPEG of each view.

    Views that a cropped panorama hardly shows are left out.

    Args:
        content: The JPEG.
        sphere: What `panorama.sphere_of` returned, without a problem.
        north_deg: Bearing of the middle of the whole frame, degrees clockwise from north.
        headings_deg: Where the views look, degrees clockwise from north.
    """
    frame, shown = _frame(content, sphere)
    pose = perspective.Pose(north_deg, sphere.pitch_deg, sphere.roll_deg)
    for heading_deg in headings_deg:
        camera = perspective.Camera(heading_deg % 360)
        if sphere.is_cropped and perspective.cut(shown, pose, camera).mean() < _LEAST_SHOWN * 255:
            continue
        yield heading_deg % 360, perspective.to_jpeg(perspective.cut(frame, pose, camera))


def _frame(content: bytes, sphere: panorama.Sphere) -> tuple[perspective.Pixels, perspective.Pixels]:
    """Returns the frame of the whole sphere and its mask, 255 inside the picture.

    The frame is black elsewhere.
    """
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        frame_width = min(round(image.width / sphere.width), _FRAME_WIDTH_PX)
        width, height = max(1, round(frame_width * sphere.width)), max(1, round(frame_width / 2 * sphere.height))
        image.draft("RGB", (width, height))
        pixels = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2)
    picture = orientation.turned(np.asarray(pixels), orientation.orientation_of(content))
    if not sphere.is_cropped:
        return picture, picture
    # At least one pixel more than the picture, which rounding might have taken.
    frame = np.zeros((max(frame_width // 2, height), max(frame_width, width), 3), np.uint8)
    left, top = round(sphere.left * frame.shape[1]), round(sphere.top * frame.shape[0])
    picture = picture[: frame.shape[0] - top, : frame.shape[1] - left]
    shown = np.zeros_like(frame)
    place = (slice(top, top + picture.shape[0]), slice(left, left + picture.shape[1]))
    frame[place], shown[place] = picture, 255
    return frame, shown

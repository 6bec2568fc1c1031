"""Checks that a response is the requested view, whole, and no placeholder.

Street View answers a place without imagery, and some requests it refuses, with status 200 and a picture of a sentence
on a flat ground. Bytes that were flipped inside the scan of a JPEG are found by no decoder; TLS is what prevents them.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import JpegImagePlugin

from geods import errors
from geods.tree import jpeg

# "Sorry, we have no imagery here." stands on this grey; in older answers it was (227, 226, 221).
_GREY_RGB = (228, 227, 223)
_GREY_TOLERANCE = 6
# Share of 8 x 8 blocks with exactly one mean colour. Measured: at most 0.30 in 2,970 real views (a white sky), 0.12 in
# simulated ones; 0.98 in the grey image at 600 x 300, 0.62 and more under five lines of text at 400 x 200.
FLAT_SHARE = 0.5
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_JPEG_TYPES = ("", "image/jpeg", "image/jpg")


def check_street_view_image(
    content: bytes, height_px: int, width_px: int, content_type: str = "", content_length: int | None = None
) -> None:
    """Does nothing if the bytes are a view.

    Args:
        content: The body of the answer.
        height_px: Height that was asked for.
        width_px: Width that was asked for.
        content_type: Media type of the answer; empty if unknown.
        content_length: Length that was announced; None if none was.

    Raises:
        ImageRefused: For one of source.RefusalReason. Damage on the way and error images are transient.
    """
    size = check_whole(content, content_type, content_length)
    if size != (height_px, width_px):
        problem = f"the image has {size[1]} x {size[0]} pixels, not {width_px} x {height_px}."
        raise errors.ImageRefused("wrong_size", problem)
    _check_colours(content)


def check_whole(content: bytes, content_type: str = "", content_length: int | None = None) -> tuple[int, int]:
    """Returns (height_px, width_px) of one whole JPEG of any size.

    Args:
        content: The body of the answer.
        content_type: Media type of the answer; empty if unknown.
        content_length: Length that was announced; None if none was.

    Raises:
        ImageRefused: If it is not; transient, as it was damaged on the way.
    """
    if not content:
        raise errors.ImageRefused("empty", "the image is empty (0 bytes).", transient=True)
    if content_length is not None and len(content) != content_length:
        problem = f"the image has {len(content):,} of {content_length:,} bytes."
        raise errors.ImageRefused("truncated", problem, transient=True)
    if content_type.partition(";")[0].strip().lower() not in _JPEG_TYPES or not content.startswith(b"\xff\xd8\xff"):
        problem = f"the answer is no JPEG ({content_type or 'type unknown'}, {content[:4].hex(' ')} ...)."
        raise errors.ImageRefused("not_jpeg", problem, transient=True)
    # Neither marker can occur inside a scan, but both do in a thumbnail before it; bytes may follow the end.
    if content.rfind(_END_OF_IMAGE) < content.rfind(_START_OF_SCAN):
        raise errors.ImageRefused("truncated", "the image ends before its end-of-image marker.", transient=True)
    try:
        return jpeg.check_jpeg(content, "the image")
    except errors.ImageError as error:
        reason = "truncated" if "truncated" in error.problem else "damaged"
        raise errors.ImageRefused(reason, error.problem, transient=True) from error


def flat_share(pixels: npt.NDArray[np.uint8]) -> tuple[float, tuple[int, int, int]]:
    """Returns the share of the commonest exact colour, and that colour.

    Args:
        pixels: `[h, w, 3]` uint8, RGB.
    """
    codes = pixels.reshape(-1, 3).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    values, counts = np.unique(codes, return_counts=True)
    commonest = int(values[counts.argmax()])
    return float(counts.max() / len(codes)), (commonest >> 16, commonest >> 8 & 255, commonest & 255)


def block_means(content: bytes) -> npt.NDArray[np.uint8]:
    """Returns the mean colours of a JPEG's 8 x 8 blocks, without full decoding.

    `[h / 8, w / 8, 3]` uint8.
    """
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    image.draft("RGB", (max(image.width // 8, 1), max(image.height // 8, 1)))
    return np.asarray(image.convert("RGB"))


def _check_colours(content: bytes) -> None:
    """Looks at the image."""
    share, colour = flat_share(block_means(content))
    if share > FLAT_SHARE:
        problem = f"{share:.0%} of the image is of one colour, {colour}"
        if all(abs(a - b) <= _GREY_TOLERANCE for a, b in zip(colour, _GREY_RGB, strict=True)):
            raise errors.ImageRefused("grey", f"{problem}: the picture that says there is no imagery.")
        raise errors.ImageRefused("error_image", f"{problem}, as in a picture of a message.", transient=True)

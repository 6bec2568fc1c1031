"""EXIF Orientation: the turn from the stored pixels of a JPEG to its picture.

Cameras store what the sensor reads out and note how they were held (CIPA DC-008, tag 0x0112). Pillow's `open`,
TensorFlow and simplejpeg leave the pixels as stored. `geods.input.tf_decoder` has the same rule as a TensorFlow graph.
"""

import struct
from collections.abc import Iterator
from typing import Any

UPRIGHT = 1
TRANSPOSED, ROWS_REVERSED, COLUMNS_REVERSED = (5, 6, 7, 8), (3, 4, 7, 8), (2, 3, 6, 7)
TAG, _FORMATS = 0x0112, {1: "B", 3: "H", 4: "I"}
EXIF = b"Exif\0\0"
# A marker, a length, the word of EXIF.
SEGMENT_HEAD_BYTES = 10


def orientation_of(content: bytes) -> int:
    """Returns the EXIF Orientation of a JPEG, 1 (upright) to 8; 1 without one.

    EXIF counts where the standard has it: in an APP1 segment before any segment that is no APPn or comment.

    Args:
        content: The bytes of the file, or its first 64 kB or more.
    """
    for start, end in application_segments(content):
        if content.startswith(EXIF, start):
            return _of_tiff(content[start + len(EXIF) : end])
    return UPRIGHT


def application_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yields the start and end of the data of each APP1 segment.

    Only those before any segment that is no APPn or comment count.
    """
    at = 2
    while at + SEGMENT_HEAD_BYTES <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        # Any number of fill bytes may come before a marker.
        if marker == 0xFF:
            at += 1
            continue
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            return
        end = at + 2 + (content[at + 2] << 8 | content[at + 3])
        if marker == 0xE1:
            yield at + 4, end
        at = end


def turned(pixels: Any, orientation: int) -> Any:  # noqa: ANN401 - arrays of any library
    """Returns `[h, w, c]` pixels turned upright.

    They may be NumPy arrays or tensors of Keras.
    """
    if orientation in TRANSPOSED and hasattr(pixels, "__array_interface__"):
        pixels = pixels.transpose(1, 0, 2)
    elif orientation in TRANSPOSED:
        import keras

        pixels = keras.ops.transpose(pixels, (1, 0, 2))
    if orientation in ROWS_REVERSED:
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in COLUMNS_REVERSED else pixels


def _of_tiff(tiff: bytes) -> int:
    """Returns the orientation in a TIFF's first directory (TIFF 6.0, section 2)."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return UPRIGHT
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return UPRIGHT
    (count,) = struct.unpack_from(order + "H", tiff, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", tiff, entry)
        if tag == TAG and kind in _FORMATS:
            (value,) = struct.unpack_from(order + _FORMATS[kind], tiff, entry + 8)
            return value if UPRIGHT < value <= 8 else UPRIGHT
    return UPRIGHT

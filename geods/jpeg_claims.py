"""What a JPEG's header may claim, judged by its bytes before any pixel is decoded.

A file of 1.4 kB can claim 13,000 x 13,000 pixels, for which Pillow and TensorFlow allocate 507 MB without a warning; a
progressive one can also ask for thousands of passes over them.
"""

# As RGB 192 MB; camera photographs of 50 million pixels pass.
MAX_PIXELS = 64_000_000

# Up to here a picture may be as empty as it likes: TensorFlow decodes it in 18 MB.
_FREE_PIXELS = 6_000_000
# Above, it needs a byte for so many. Photographs have a byte for 1 to 20 pixels; a blank wall of 12 million pixels at
# quality 10 has one for 57, progressive at quality 75 one for 45. libjpeg keeps all coefficients of progressive ones, 3
# to 6 bytes a pixel, and so 200 kB of them must not claim more than 8 million.
_PIXELS_A_BYTE, _PROGRESSIVE_PIXELS_A_BYTE = 150, 40

# Encoders write at most 10 or so; each is a pass over all coefficients.
MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"


def problem_of(content: bytes, height_px: int, width_px: int, progressive: bool) -> str:
    """Says why a JPEG must not be decoded; empty if it may.

    Args:
        content: The whole file.
        height_px: Height its header claims.
        width_px: Width its header claims.
        progressive: Whether it is a progressive one.
    """
    pixels = height_px * width_px
    if pixels > MAX_PIXELS:
        return f"its header claims {width_px} x {height_px} pixels; at most {MAX_PIXELS:,} are read"
    a_byte = _PROGRESSIVE_PIXELS_A_BYTE if progressive else _PIXELS_A_BYTE
    if pixels > max(_FREE_PIXELS, a_byte * len(content)):
        return f"its header claims {width_px} x {height_px} pixels, too many for {len(content):,} bytes"
    # Inside a scan the marker cannot occur; thumbnails before it hold a few.
    if (scans := content.count(_START_OF_SCAN)) > MAX_SCANS:
        return f"it has {scans:,} scans; at most {MAX_SCANS} are read"
    return ""

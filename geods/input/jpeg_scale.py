"""The size at which libjpeg decodes a photograph that is to be shrunk.

libjpeg can compute a picture of 1/2, 1/4 or 1/8 of the size from the low frequencies of each 8 x 8 block (DCT scaling).
A photograph of 12 million pixels then takes half of the processor time to decode and to resize, a sphere of 16 million
0.4 to 0.5 of it (docs/speed.md). Their pixels differ by 0.05 and 0.18 of 255 levels in the mean from those of the whole
image; of pictures that are sharp to the last pixel, by 0.17 and 0.43.
"""

# Of those libjpeg knows, the ones that TensorFlow, Pillow and simplejpeg all take.
DENOMINATORS = (8, 4, 2)
# The result stays so many times as large as it is wanted, and the filter that resizes it removes what aliases.
SPARE = 2
# Of fewer pixels simplejpeg, which is given a least size, would take 3/8 for 1/2.
LEAST_PX = 16


def denominator(height_px: int, width_px: int, to_height_px: int, to_width_px: int) -> int:
    """Returns by how much decoding makes an image smaller: 1, 2, 4 or 8.

    Args:
        height_px: Height of the image as it is stored.
        width_px: Width of the image as it is stored.
        to_height_px: Height it is to be resized to, before it is turned by its EXIF.
        to_width_px: Width it is to be resized to.
    """
    for number in DENOMINATORS:
        least = SPARE * number
        if height_px >= max(least * to_height_px, LEAST_PX) and width_px >= max(least * to_width_px, LEAST_PX):
            return number
    return 1

"""Pictures that a server of street views may send, drawn here."""

import functools
import io

import numpy as np
from PIL import Image, ImageDraw

from geods.simulation import worlds

GREY, OLD_GREY = (228, 227, 223), (227, 226, 221)
NO_IMAGERY = ["Sorry, we have no imagery here."]
MESSAGE = [
    "The Google Maps Platform server rejected your request.",
    "You have exceeded your daily request quota for this API.",
    "If you did not set a custom daily request quota, verify",
    "your project has an active billing account: http://g.co/dev/maps-no-account",
    "g.co/streetviewerror/key",
]


def jpeg(picture: Image.Image, **keywords) -> bytes:
    with io.BytesIO() as target:
        picture.save(target, "JPEG", **({"quality": 85} | keywords))
        return target.getvalue()


def written(lines: list[str], ground=GREY, height_px=300, width_px=600, quality=85) -> bytes:
    """A picture of text on a flat ground."""
    picture = Image.new("RGB", (width_px, height_px), ground)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        pen.text((10, 20 + 22 * number), line, fill=(60, 60, 60), font_size=14)
    return jpeg(picture, quality=quality)


@functools.cache
def view(lat_deg=46.4, lon_deg=10.0, heading_deg=0.0, height_px=300, width_px=600) -> bytes:
    """A view of the simulated world."""
    return worlds.World().render(lat_deg, lon_deg, heading_deg, height_px, width_px)


@functools.cache
def with_thumbnail() -> bytes:
    """A JPEG that holds another, whole one in a segment before its own scan."""
    whole, inner = view(), jpeg(Image.fromarray(np.full((16, 16, 3), 9, np.uint8)))
    segment = b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner
    return whole[:2] + segment + whole[2:]

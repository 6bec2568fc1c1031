"""Images of the simulated server: views, no imagery, and errors.

Where a service puts its logo, these say SIMULATED, so that none is ever taken for a photograph.
"""

import ctypes
import functools
import hashlib
import io
import multiprocessing
import multiprocessing.pool
import signal
import sys
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

from geods.simulation import worlds

# The grey of the service's picture for places without imagery; its errors are on another ground.
_GREY_RGB, _ERROR_RGB = (228, 227, 223), (250, 250, 250)
_NO_IMAGERY = ("Sorry, we have no imagery here.",)
_ERROR_LINES = (
    "The simulated server rejected your request.",
    "This picture stands in the place of an error, with status 200.",
)
_MARK = "SIMULATED"
_LEAST_WRITTEN_PX = 100
_INK, _SHADE = (250, 250, 250), (60, 60, 60)
# 16 MB at 600 x 300.
_KEPT_VIEWS = 512
_KEPT_PLACES = 64
# Of linux/prctl.h.
_PR_SET_PDEATHSIG = 1
# In a process of `drawing_processes`, its one object.
_views: list["Views"] = []
# Places whose drawings stand for all others in the mode "tiled".
_TILE_POINTS = tuple((30.0 + 4 * row, -120.0 + 7 * column) for row in range(4) for column in range(4))


class Views:
    """Views of a simulated world as JPEG bytes. Thread-safe.

    Args:
        world: What is photographed.
        tiled: Whether to answer from 16 drawings, with bytes but not pixels of their own. Drawing a view of 600 x 300
            takes 8 ms, most of it under the interpreter's lock, so a process draws about 120 a second; a load
            test with more would measure the drawing.
        drawing: Processes of `drawing_processes` for the same world; None to draw in this one.
    """

    def __init__(
        self, world: worlds.World, tiled: bool = False, drawing: multiprocessing.pool.Pool | None = None
    ) -> None:
        self._world, self._tiled = world, tiled
        draw = (lambda *view: drawing.apply(_drawn, view)) if drawing else self._draw_now
        self._draw = functools.lru_cache(maxsize=_KEPT_VIEWS)(draw)
        # The views of a place follow one another.
        self._place = functools.lru_cache(maxsize=_KEPT_PLACES)(world.place)

    def view(self, name: str, coords: tuple[float, float], heading_deg: float, height_px: int, width_px: int) -> bytes:
        """Returns a view; equal arguments give equal bytes.

        Args:
            name: Unique name of the view, ASCII.
            coords: (lat, lon) of the camera, degrees.
            heading_deg: Where it looks, degrees clockwise from north.
            height_px: Rows.
            width_px: Columns.
        """
        if not self._tiled:
            return self._draw(coords, heading_deg, height_px, width_px)
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        point = _TILE_POINTS[digest[0] % len(_TILE_POINTS)]
        return with_comment(self._draw(point, 0.0, height_px, width_px), name.encode())

    def _draw_now(self, coords: tuple[float, float], heading_deg: float, height_px: int, width_px: int) -> bytes:
        drawn = max(height_px, worlds.LEAST_PX), max(width_px, worlds.LEAST_PX)
        picture = self._world.picture(self._place(*coords), heading_deg, *drawn)
        return _jpeg(_marked(picture.crop((0, 0, width_px, height_px))))


def drawing_processes(world: worlds.World, count: int) -> multiprocessing.pool.Pool:
    """Starts processes that draw; call it before the first thread, as they are forks.

    Args:
        world: What they draw.
        count: How many; 0 for one on each core.
    """
    return multiprocessing.get_context("fork").Pool(count or None, _start_drawing, (world,))


def _start_drawing(world: worlds.World) -> None:
    """Prepares a process: it ends with its parent, even one that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _views.append(Views(world))


def _drawn(*view: Any) -> bytes:  # noqa: ANN401 - the arguments of _draw_now
    return _views[0]._draw_now(*view)


def with_comment(content: bytes, comment: bytes) -> bytes:
    """Returns a JPEG with a comment segment before all others (ITU-T T.81, B.2.4.5).

    Args:
        content: A JPEG.
        comment: At most 65,533 bytes.
    """
    return content[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + content[2:]


def no_imagery(height_px: int, width_px: int) -> bytes:
    """Returns the grey "no imagery" image, as a JPEG."""
    return _written(_NO_IMAGERY, _GREY_RGB, height_px, width_px)


def error(height_px: int, width_px: int, *lines: str) -> bytes:
    """Returns the image of an error message, as a JPEG.

    Args:
        height_px: Rows.
        width_px: Columns.
        lines: What is written besides.
    """
    return _written((*_ERROR_LINES, *lines), _ERROR_RGB, height_px, width_px)


@functools.lru_cache(maxsize=64)
def _written(lines: Sequence[str], ground: tuple[int, int, int], height_px: int, width_px: int) -> bytes:
    picture = Image.new("RGB", (width_px, height_px), ground)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        left_px = (width_px - pen.textlength(line)) / 2
        # A picture too small for the words is flat, and known by that.
        if left_px > 0 and height_px >= _LEAST_WRITTEN_PX:
            pen.text((left_px, height_px / 2 + 16 * number - 8), line, fill=_SHADE)
    return _jpeg(_marked(picture))


def _marked(picture: Image.Image) -> Image.Image:
    """Writes the mark into the lower left corner of an image that is not small."""
    if min(picture.size) < _LEAST_WRITTEN_PX:
        return picture
    column, row = 5, picture.height - 16
    picture.paste(_SHADE, (column + 1, row + 1), _mark())
    picture.paste(_INK, (column, row), _mark())
    return picture


@functools.cache
def _mark() -> Image.Image:
    """Returns the mark as an opacity, which FreeType draws once."""
    written = Image.new("L", (_LEAST_WRITTEN_PX - 6, 15))
    ImageDraw.Draw(written).text((0, 0), _MARK, fill=255)
    return written


def _jpeg(picture: Image.Image) -> bytes:
    with io.BytesIO() as target:
        picture.save(target, "JPEG", quality=85, subsampling="4:2:0", optimize=False, progressive=False)
        return target.getvalue()

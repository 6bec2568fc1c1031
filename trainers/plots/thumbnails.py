"""Thumbnails of views for self-contained pages.

thumbnails.data_url(view)    # "data:image/webp;base64,..."
"""

import base64
import dataclasses
import io
from collections.abc import Sequence
from typing import TypeVar

from PIL import Image, ImageOps

from geods import errors
from geods.tree import imagery_tree, jpeg

# The panel beside the map is 293 pixels wide; a view of 400 x 200 pixels of a street takes about 3 kB so.
_WIDTH_PX, _QUALITY = 300, 40
# Of a location with more, as many evenly from all.
_VIEWS = 4
_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True)
class View:
    """One image of a location.

    Attributes:
        jpeg: Content of the file.
        name: How messages name it.
        heading_deg: Compass direction in [0, 360]; None if not known.
        date: Month it was taken, as "YYYY-MM"; "" if not known.
    """

    jpeg: bytes
    name: str
    heading_deg: float | None
    date: str

    @property
    def caption(self) -> str:
        """Heading and date, such as "90°, 2012-05"."""
        return ", ".join(filter(None, ("" if self.heading_deg is None else f"{self.heading_deg:g}°", self.date)))


def data_url(view: View) -> str:
    """Returns a thumbnail, upright by its EXIF orientation, as a data: URL.

    Raises:
        ImageError: If the view cannot be decoded.
    """
    content = io.BytesIO()
    upright = decode(view, 2 * _WIDTH_PX)
    upright.thumbnail((_WIDTH_PX, _WIDTH_PX))
    upright.save(content, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def decode(view: View, least_px: int = 0) -> Image.Image:
    """Returns a view as an RGB image, turned upright by its EXIF orientation.

    Args:
        view: The view.
        least_px: Sides at which a smaller image may be decoded in less time; 0 for the full size.

    Raises:
        ImageError: If the view cannot be decoded.
    """
    try:
        with jpeg.open_guarded(view.jpeg, view.name) as image:
            if least_px:
                image.draft("RGB", (least_px, least_px))
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError) as error:
        problem = f"{view.name}: cannot be decoded ({errors.in_short(error)})."
        raise errors.ImageError(
            problem, "leave it out: python -m tools.check_tree --tree=TREE names all such"
        ) from error


def of_file(view: imagery_tree.View) -> View:
    """Reads a view of an imagery tree."""
    return View(view.path.read_bytes(), str(view.path), view.heading_deg, view.date or "")


def some(views: Sequence[_Item]) -> list[_Item]:
    """Returns at most four views, evenly spaced."""
    return [views[len(views) * number // _VIEWS] for number in range(_VIEWS)] if len(views) > _VIEWS else list(views)

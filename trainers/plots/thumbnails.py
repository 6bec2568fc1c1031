"""Thumbnails of views for self-contained pages.

views = thumbnails.from_tree("tree", ["40.1,-99.5"])["40.1,-99.5"]
thumbnails.data_url(views[0])  # "data:image/webp;base64,..."
"""

import base64
import dataclasses
import io
import os
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageOps

from geods import errors
from geods.tree import jpeg

# The panel beside the map is 293 pixels wide; a view of 400 x 200 pixels of a street takes about 3 kB so.
_WIDTH_PX, _QUALITY = 300, 40
# Of a location with more, as many evenly from all.
_VIEWS = 4
_RECORDS_AT_ONCE = 64


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


def from_tree(root: str | os.PathLike[str], location_ids: Iterable[str]) -> dict[str, list[View]]:
    """Reads up to four views of each location of an imagery tree.

    Missing locations are left out.

    Raises:
        TreeError: If `root` is no imagery tree.
    """
    from geods.tree import layouts

    table = layouts.read(root)
    wanted = set(location_ids)
    rows = [row for row, location_id in enumerate(table.ids) if location_id in wanted]
    return {
        table.ids[row]: [
            View(view.path.read_bytes(), str(view.path), view.heading_deg, view.date or "")
            for view in _some(table[row].views)
        ]
        for row in rows
    }


def from_dataset(data_dir: str | os.PathLike[str], config: str, location_ids: Iterable[str]) -> dict[str, list[View]]:
    """Reads up to four views of each location of a dataset, from all splits.

    Missing locations are left out.

    Raises:
        DatasetError: If there is no such dataset, or it is damaged.
    """
    from geods.dataset import dataset_reader, records

    builder = dataset_reader.open_builder(data_dir, config)
    wanted, found = set(location_ids), {}
    columns = ("image", "heading", "date")
    for split in builder.info.splits:
        rows = records.read(builder, split).batch(_RECORDS_AT_ONCE).map(lambda some: records.parse(some, columns))
        for batch in rows:
            for row, name in enumerate(batch["location_id"].numpy().astype(np.str_).tolist()):
                if name in wanted:
                    found[name] = _views_of(name, [batch["views"][column][row].numpy() for column in columns])
            if len(found) == len(wanted):
                return found
    return found


def _views_of(location_id: str, columns: Sequence[np.ndarray]) -> list[View]:
    """Returns the views of a location by JPEGs, headings and dates, each `[views]`."""
    name = f"a view of {location_id}"
    return [
        View(jpeg, name, None if np.isnan(heading) else float(heading), date.decode())
        for jpeg, heading, date in _some(list(zip(*columns, strict=True)))
    ]


def _some(views: Sequence) -> list:
    """Returns at most four views, evenly spaced."""
    return [views[len(views) * number // _VIEWS] for number in range(_VIEWS)] if len(views) > _VIEWS else list(views)

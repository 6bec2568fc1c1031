"""What one example of the dataset holds: its features, and their values for a location of a tree."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from geods import survey, tree


def features() -> tfds.features.FeaturesDict:
    """Returns the features; the names of the cells follow from the partition when the dataset is built."""
    document = tfds.features.Documentation
    # As bytes: a tf.train.Example holds floats of 32 bits only, which is 0.5 m on the ground.
    coords = tfds.features.Tensor(
        shape=(2,),
        dtype=np.float64,
        encoding=tfds.features.Encoding.BYTES,
        doc=document(desc="Latitude and longitude.", value_range="[-90, 90], [-180, 180] degrees"),
    )
    view = {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg", doc="The JPEG as it was."),
        "heading": tfds.features.Scalar(
            np.float32, doc=document(desc="Clockwise from north; NaN if not known.", value_range="[0, 360] degrees")
        ),
        "date": tfds.features.Text(doc="YYYY-MM; empty if not known."),
        "sha256": tfds.features.Text(doc="SHA-256 of the JPEG, in hexadecimal."),
    }
    return tfds.features.FeaturesDict(
        {
            "location_id": tfds.features.Text(doc="<lat>,<lng> as the tree has it."),
            "coords": coords,
            "cell": tfds.features.ClassLabel(doc="Cell of the partition in which the coordinates lie."),
            "views": tfds.features.Sequence(view),
            "source": tfds.features.Text(doc="Who made the images."),
            "licence": tfds.features.Text(doc="Licence or terms of the images."),
        }
    )


def name_cells(features_of: tfds.features.FeaturesDict, count: int) -> None:
    """Gives features the cells of a partition."""
    features_of["cell"].names = [str(number) for number in range(count)]


def content_of(view: tree.View) -> bytes:
    """Returns the bytes of a view's file."""
    return view.path.read_bytes()


def of_location(
    place: tree.Location,
    cell: int,
    provenance: survey.Provenance,
    read: Callable[[tree.View], bytes] = content_of,
) -> dict[str, Any]:
    """Returns the example of a location.

    Args:
        place: The location.
        cell: Its cell.
        provenance: Source and licence of the images.
        read: Gives the JPEG of a view.
    """
    return {
        "location_id": place.location_id,
        "coords": np.array([place.lat_deg, place.lon_deg], dtype=np.float64),
        "cell": cell,
        "views": [_of_view(view, read(view)) for view in place.views],
        "source": provenance.source,
        "licence": provenance.licence,
    }


def _of_view(view: tree.View, content: bytes) -> dict[str, Any]:
    """Returns the example of one view."""
    return {
        "image": content,
        "heading": math.nan if view.heading_deg is None else view.heading_deg,
        "date": view.date or "",
        "sha256": hashlib.sha256(content).hexdigest(),
    }

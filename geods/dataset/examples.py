"""Examples of the dataset: features, and the record of a location of a tree."""

import hashlib
import math
from collections.abc import Callable, MutableSequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from geods.tree import companions, imagery_tree


def features() -> tfds.features.FeaturesDict:
    """Returns the features of an example.

    The names of the cells follow from the partition when the dataset is built.
    """
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


def content_of(view: imagery_tree.View) -> tuple[bytes, str]:
    """Returns the bytes of a view's file and their SHA-256 in hexadecimal."""
    content = view.path.read_bytes()
    return content, hashlib.sha256(content).hexdigest()


def record_of(
    place: imagery_tree.Location,
    cell: int,
    provenance: companions.Provenance,
    read: Callable[[imagery_tree.View], tuple[bytes, str]] = content_of,
) -> bytes:
    """Returns the record of a location as TFDS writes it, for a sixth of the work.

    A tf.train.Example holds its features in a map, which protobuf writes in an order that differs from process to
    process unless it is asked to sort it: https://protobuf.dev/programming-guides/serialization-not-canonical/. TFDS
    4.9.10 does not ask, so two builds of one tree gave shards of which no record was equal.

    Args:
        place: The location.
        cell: Its cell.
        provenance: Source and licence of the images.
        read: Gives the JPEG of a view and its SHA-256.
    """
    # Filled where they end up: features made before and put into it would be copied three times, 28 kB an image.
    example = tf.train.Example()
    found = [read(view) for view in place.views]
    texts = {
        "location_id": [place.location_id],
        "views/date": [view.date or "" for view in place.views],
        "views/sha256": [sha256 for _, sha256 in found],
        "source": [provenance.source_of(place.location_id)],
        "licence": [provenance.licence_of(place.location_id)],
    }
    for name, values in texts.items():
        _bytes_of(example, name).extend(value.encode() for value in values)
    _bytes_of(example, "coords").append(np.array([place.lat_deg, place.lon_deg], dtype="<f8").tobytes())
    _bytes_of(example, "views/image").extend(content for content, _ in found)
    example.features.feature["cell"].int64_list.value.append(cell)
    headings = [math.nan if view.heading_deg is None else view.heading_deg for view in place.views]
    example.features.feature["views/heading"].float_list.value.extend(headings)
    return bytes(example.SerializeToString(deterministic=True))


def _bytes_of(example: tf.train.Example, name: str) -> MutableSequence[bytes]:
    """Returns the list of a feature of bytes, which is there from then on."""
    return example.features.feature[name].bytes_list.value

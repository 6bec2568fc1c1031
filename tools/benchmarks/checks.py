"""Checks that a loader gave every image once, with its own label.

Otherwise its rate means nothing.

Decoders differ by some levels, so images are identified by a thumbnail of block means, on which all decoders agree, and
exact pixels are counted separately, by hash. `Pass` is the base of all loaders.
"""

import collections
import hashlib
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from geods import errors

_ROWS, _COLUMNS = 6, 8
# TensorFlow's fast transform is off by up to 8 levels in a pixel, and by 1 in the mean of a block.
_MOST_LEVELS = 3
# Photographs of a dark tunnel may look alike; others do not.
_LEAST_TOLD_APART = 0.98


def describe(batches: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Returns the facts about a loader that `refuse` and `identical` compare.

    Args:
        batches: (images `[b, h, w, 3]` or `[b, 3, h, w]` of levels 0 to 255, labels `[b]` or one-hot `[b, c]`).

    Returns:
        A dict fit for JSON: "hashes", "thumbnails" (hexadecimal) and "labels" of each image, and "dtype".
    """
    hashes, thumbnails, labels, dtype = [], [], [], ""
    for images, batch_labels in batches:
        levels = np.asarray(images)
        dtype = str(levels.dtype)
        if levels.shape[1] == 3:
            levels = levels.transpose(0, 2, 3, 1)
        hashes += [pixels_hash(image) for image in levels]
        thumbnails += [thumbnail(image).tobytes().hex() for image in levels]
        given = np.asarray(batch_labels)
        labels += (given.argmax(axis=1) if given.ndim == 2 else given).tolist()
    return {"hashes": hashes, "thumbnails": thumbnails, "labels": labels, "dtype": dtype}


def of_files(paths: Sequence[str]) -> dict[str, Any]:
    """Returns the same of image files as Pillow decodes them; the labels are all 0."""
    images = (np.asarray(Image.open(pathlib.Path(path)).convert("RGB")) for path in paths)
    return describe((image[None], np.zeros(1, int)) for image in images)


def pixels_hash(pixels: np.ndarray) -> str:
    """Returns the SHA-256 of an image `[h, w, 3]` of whole levels, whatever its type."""
    return hashlib.sha256(np.ascontiguousarray(pixels.astype(np.uint8)).tobytes()).hexdigest()


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Returns block means of an image `[h, w, 3]`, as uint8 `[6, 8, 3]`.

    Smaller images are repeated first.
    """
    height_px, width_px = pixels.shape[:2]
    tall, wide = -(-_ROWS // height_px), -(-_COLUMNS // width_px)
    large = pixels.repeat(tall, axis=0).repeat(wide, axis=1)
    rows, columns = large.shape[0] // _ROWS, large.shape[1] // _COLUMNS
    blocks = large[: rows * _ROWS, : columns * _COLUMNS].reshape(_ROWS, rows, _COLUMNS, columns, 3)
    return blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)


def identical(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """Returns the share of a loader's images whose pixels are exactly Pillow's."""
    known = set(expected["hashes"])
    return sum(one in known for one in found["hashes"]) / max(1, len(found["hashes"]))


def check_found(name: str, found: dict[str, Any], expected: dict[str, Any], classes: Sequence[int]) -> None:
    """Does nothing if a loader gave every image once with a label of its class.

    Args:
        name: How the message calls the loader.
        found: `describe` of what it gave.
        expected: `of_files` the images.
        classes: Class of each expected image; a loader may number the classes its own way.

    Raises:
        BenchmarkError: If it gave another number of images, other pixels, an image twice, or other labels.
    """
    count, wanted = len(found["hashes"]), len(expected["hashes"])
    if count != wanted or len(found["labels"]) != wanted:
        raise _wrong(name, f"gave {count} images with {len(found['labels'])} labels instead of {wanted}")
    nearest, levels = _nearest(_thumbnails(found), _thumbnails(expected))
    if (far := int((levels > _MOST_LEVELS).sum())) > 0:
        raise _wrong(name, f"{far} of its {count} images are not among those it was asked for")
    told_apart = len(set(nearest.tolist()))
    if told_apart < _LEAST_TOLD_APART * len(_distinct(expected)):
        raise _wrong(name, f"gave {told_apart} different images instead of {wanted}")
    _check_labels(name, found["labels"], [classes[number] for number in nearest])


def _check_labels(name: str, given: Sequence[int], classes: Sequence[int]) -> None:
    """Refuses labels that do not tell the classes apart as they should."""
    of_class: dict[int, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for label, own in zip(given, classes, strict=True):
        of_class[own][label] += 1
    usual = {own: labels.most_common(1)[0][0] for own, labels in of_class.items()}
    right = sum(label == usual[own] for label, own in zip(given, classes, strict=True))
    if len(set(usual.values())) < len(usual) or right < _LEAST_TOLD_APART * len(given):
        raise _wrong(name, "its labels are not those of its images")


def _thumbnails(described: dict[str, Any]) -> np.ndarray:
    """Returns the thumbnails, int16 `[n, values]`."""
    return np.array([list(bytes.fromhex(one)) for one in described["thumbnails"]], dtype=np.int16)


def _distinct(described: dict[str, Any]) -> set[str]:
    """Returns the thumbnails that differ."""
    return set(described["thumbnails"])


def _nearest(found: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each image's nearest expected thumbnail and their largest difference.

    A thumbnail is given by its number, the difference is that of the means of a block.
    """
    squares = (expected.astype(np.float32) ** 2).sum(axis=1) - 2 * found.astype(np.float32) @ expected.T.astype(
        np.float32
    )
    nearest = squares.argmin(axis=1)
    return nearest, np.abs(found - expected[nearest]).max(axis=1)


def _wrong(name: str, problem: str) -> errors.BenchmarkError:
    """Returns the error for a loader that does not do the work."""
    return errors.BenchmarkError(f"{name}: {problem}.", "its figure would be wrong; leave it out, or fix it")


BATCH = 64


class Pass:
    """A pass over images.

    A child sets `_batches`, something to iterate over, or gives `batches`.
    """

    _batches: Any

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        yield from self._batches

    def run(self) -> int:
        """Reads everything once; returns the number of images that had a label."""
        return sum(min(len(images), len(labels)) for images, labels in self.batches())

    def facts(self) -> dict[str, Any]:
        """Returns the facts about all images that `checks` compares."""
        return describe(self.batches())

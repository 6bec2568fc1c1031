"""Loaders that give fewer, other, repeated or mislabelled images are refused."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from geods import errors
from tools.benchmarks import checks

COUNT, CLASSES = 12, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3]


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> list[pathlib.Path]:
    folder = tmp_path_factory.mktemp("images")
    found = []
    for number in range(COUNT):
        colours = np.random.default_rng(number).integers(0, 256, (3, 4, 3), dtype=np.uint8)
        found.append(folder / f"{number}.jpg")
        Image.fromarray(colours).resize((96, 64)).save(found[-1])
    return found


@pytest.fixture(scope="module")
def images(paths) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in paths])


@pytest.fixture(scope="module")
def expected(paths) -> dict:
    return checks.of_files(list(map(str, paths)))


def verdict(expected, *batches) -> float:
    """Returns the share of identical images of a loader with these batches."""
    found = checks.describe(batches)
    checks.check_found("loader", found, expected, CLASSES)
    return checks.identical(found, expected)


def test_honest_loaders_pass_whatever_their_form(images, expected):
    labels = np.array(CLASSES)
    assert verdict(expected, (images[:7], labels[:7]), (images[7:], labels[7:])) == 1
    assert verdict(expected, (images.astype(np.float32), np.eye(5)[labels])) == 1
    assert verdict(expected, (images.transpose(0, 3, 1, 2), labels)) == 1
    assert verdict(expected, (images[::-1], np.array([30, 7, 9, 1])[labels[::-1]])) == 1, "its own numbers of classes"


def test_a_faster_transform_passes_and_is_not_called_identical(paths, expected):
    pixels = [tf.io.decode_jpeg(path.read_bytes(), dct_method="INTEGER_FAST").numpy() for path in paths]
    assert verdict(expected, (np.stack(pixels), CLASSES)) < 1


@pytest.mark.parametrize(
    ("cheat", "message"),
    [
        (lambda images, labels: (images[:-1], labels[:-1]), "gave 11 images with 11 labels instead of 12"),
        (lambda images, labels: (images, labels[:-1]), "gave 12 images with 11 labels"),
        (lambda images, labels: (np.zeros_like(images), labels), "of its 12 images are not among those"),
        (lambda images, labels: (images[:, ::-1], labels), "of its 12 images are not among those"),
        (lambda images, labels: (images // 2, labels), "of its 12 images are not among those"),
        (lambda images, labels: (images[[0] * COUNT], labels), "gave 1 different images instead of 12"),
        (lambda images, labels: (images, np.zeros_like(labels)), "its labels are not those of its images"),
        (lambda images, labels: (images, np.roll(labels, 1)), "its labels are not those of its images"),
    ],
)
def test_cheats_are_refused(images, expected, cheat, message):
    with pytest.raises(errors.BenchmarkError, match=message):
        verdict(expected, cheat(images, np.array(CLASSES)))


def test_thumbnails_of_any_size():
    for shape in ((300, 600, 3), (1, 1, 3), (5, 9, 3)):
        assert checks.thumbnail(np.full(shape, 9, np.uint8)).shape == (6, 8, 3)
        assert (checks.thumbnail(np.full(shape, 9, np.uint8)) == 9).all()

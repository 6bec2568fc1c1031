"""Other decoders give TensorFlow's pixels and order, and fall back to it."""

import dataclasses
import io
import itertools
import shutil
import subprocess
import sys

import checkout
import drawn_trees
import numpy as np
import pytest
import road
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from geods import errors
from geods.dataset import dataset_reader
from geods.input import loader, nvimagecodec_decoder, pipeline, tf_decoder, threaded_decoder

SHARED = checkout.SHARED / "data" / "us_street_view"
OPTIONS = pipeline.PipelineOptions(height_px=40, width_px=60, batch_size=7, views="single")
NO_GPU = pytest.mark.skipif(nvimagecodec_decoder.is_available(), reason="there is a GPU that decodes JPEGs")


@pytest.fixture(scope="module")
def builder(data_dir):
    return dataset_reader.open_builder(data_dir, "random")


def slow(content: bytes) -> np.ndarray:
    return tf_decoder.decode_image(content, 40, 60).numpy()


def on_the_cpu(contents: list[bytes]) -> list[np.ndarray | None]:
    """Stands in for the GPU: DLPack arrays, None for images it cannot decode."""
    # As on a GPU, each begins at a round address; TensorFlow aborts on tensors that do not.
    pool, found = threaded_decoder.BufferPool(), []
    for content in contents:
        image = Image.open(io.BytesIO(content))
        found.append(pool.take((image.height, image.width, 3)) if image.mode == "RGB" else None)
        if found[-1] is not None:
            found[-1][:] = np.asarray(image)
    return found


@pytest.mark.parametrize(
    "changed", [{}, {"skip": 5, "threads": 1}, {"shuffle": True, "seed": 3}, {"drop_remainder": True}]
)
def test_simplejpeg_gives_the_batches_of_tensorflow(builder, changed):
    options = dataclasses.replace(OPTIONS, **changed)
    theirs = list(loader.view_batches(builder, "train", options, "tensorflow"))
    ours = list(loader.view_batches(builder, "train", options, "simplejpeg"))
    assert len(ours) == len(theirs) > 10
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for name, value in other.items():
            assert mine[name].dtype == value.dtype
            assert np.array_equal(mine[name], value)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_part_of_a_split_begins_again_for_ever(builder, shuffle):
    options = dataclasses.replace(OPTIONS, repeat=True, skip=2, shuffle=shuffle, seed=1)
    theirs, ours = (
        itertools.islice(loader.view_batches(builder, "train[3:9]", options, decode), 8)
        for decode in ("tensorflow", "simplejpeg")
    )
    for mine, other in zip(ours, theirs, strict=True):
        assert np.array_equal(mine["location_id"], other["location_id"])
        assert np.array_equal(mine["image"], other["image"])


def test_a_damaged_shard_is_an_error_of_any_decoder(builder, tmp_path):
    folder = tmp_path / "damaged" / "random" / "1.0.0"
    shutil.copytree(builder.data_path, folder)
    shard = next(folder.glob("*-train.tfrecord*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    damaged = tfds.builder_from_directory(folder)
    for shuffle in (False, True):
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"{shard.name}: the record at byte"):
            list(pipeline.batches(damaged, "train", dataclasses.replace(OPTIONS, shuffle=shuffle)))
    for read in (
        lambda: list(loader.view_batches(damaged, "train", OPTIONS)),
        # By these every program begins, before TensorFlow reads anything.
        lambda: dataset_reader.index(damaged, "train"),
        lambda: dataset_reader.most_views(damaged, "train"),
        lambda: dataset_reader.hashes(damaged, "train"),
    ):
        with pytest.raises(errors.DatasetError, match=rf"{shard.name}: the record at byte (.|\n)*rm -r .*tfds build"):
            read()


@pytest.mark.parametrize("decode", ["tensorflow", "simplejpeg"])
def test_an_epoch_left_early_does_not_change_the_next(builder, decode):
    batches = loader.view_batches(builder, "train", OPTIONS, decode)
    first = next(iter(batches))["image"].numpy()
    names = [np.concatenate([batch["location_id"] for batch in batches]).tolist() for _ in range(2)]
    assert names[0] == names[1]
    assert np.array_equal(next(iter(batches))["image"], first)


def test_batches_stay_as_they_were_while_later_ones_are_decoded(builder):
    kept = [(batch["image"], batch["image"].numpy().copy()) for batch in loader.view_batches(builder, "train", OPTIONS)]
    assert all(np.array_equal(tensor, copy) for tensor, copy in kept)


def test_a_loop_that_ends_early_leaves_no_thread(builder):
    code = (
        "import sys; from geods.dataset import dataset_reader; from geods.input import loader, pipeline; "
        "b = dataset_reader.open_builder(sys.argv[1], 'random'); "
        "o = pipeline.PipelineOptions(40, 60, batch_size=4, views='single'); "
        "print(next(iter(loader.view_batches(b, 'train', o, 'simplejpeg')))['image'].shape)"
    )
    folder = builder.data_path.parent.parent.parent
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, timeout=120, cwd=road.REPO)
    assert done.returncode == 0, done.stderr
    assert b"(4, 40, 60, 3)" in done.stdout


def of_every_kind() -> list[bytes]:
    """JPEGs: of the size, another, grey, CMYK, progressive, and with a bad end."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    progressive = io.BytesIO()
    image.save(progressive, "JPEG", progressive=True)
    plain = drawn_trees.encoded(image, "JPEG")
    return [
        plain,
        drawn_trees.encoded(image.resize((90, 50)), "JPEG"),
        drawn_trees.encoded(image.convert("L"), "JPEG"),
        drawn_trees.encoded(image.convert("CMYK"), "JPEG"),
        progressive.getvalue(),
        plain + b"what a camera put behind it",
    ]


def test_what_simplejpeg_refuses_is_decoded_by_tensorflow():
    contents = of_every_kind()
    decoder = threaded_decoder.ThreadedDecoder(40, 60)
    pixels = decoder.submit(contents).result()
    decoder.close()
    assert np.array_equal(pixels, [slow(content) for content in contents])


def test_what_nobody_can_decode_is_an_error():
    decoder = threaded_decoder.ThreadedDecoder(40, 60)
    waiting = decoder.submit([*of_every_kind(), b"no JPEG"])
    with pytest.raises(tf.errors.InvalidArgumentError):
        waiting.result()
    decoder.close()


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real street-level images beside the checkout")
def test_real_photographs_have_the_pixels_of_pillow():
    contents = [path.read_bytes() for path in sorted(SHARED.glob("*/*/*.jpg"))[::50]]
    pillow = [np.asarray(Image.open(io.BytesIO(content))) for content in contents]
    for size in {image.shape for image in pillow}:
        chosen = [number for number, image in enumerate(pillow) if image.shape == size]
        decoder = threaded_decoder.ThreadedDecoder(*size[:2], "simplejpeg")
        pixels = decoder.submit([contents[number] for number in chosen]).result()
        assert np.array_equal(pixels, [pillow[number] for number in chosen])
        decoder.close()


def test_the_gpu_path_resizes_and_falls_back_on_arrays_of_the_cpu():
    contents = of_every_kind()
    decoder = nvimagecodec_decoder.GpuDecoder(40, 60, slow, decode=on_the_cpu)
    pixels = decoder.submit(contents).result()
    decoder.close()
    assert pixels.shape == (len(contents), 40, 60, 3)
    assert pixels.dtype == tf.uint8
    expected = np.array([slow(content) for content in contents], dtype=int)
    assert np.abs(pixels.numpy().astype(int) - expected).max() <= 1


@NO_GPU
def test_without_a_gpu_auto_takes_the_threads_and_gpu_is_refused(builder):
    assert loader.choose("auto") == "simplejpeg"
    assert loader.choose("tensorflow") == "tensorflow"
    with pytest.raises(errors.OptionError, match=r"--decode=gpu: (.|\n)*--decode=auto"):
        loader.choose("gpu")
    with pytest.raises(errors.OptionError, match="--decode=gpu"):
        loader.view_batches(builder, "train", OPTIONS, "gpu")


def test_all_views_at_once_are_refused(builder):
    with pytest.raises(errors.OptionError, match=r"views='all'(.|\n)*pipeline.batches"):
        loader.view_batches(builder, "train", dataclasses.replace(OPTIONS, views="all"))


def test_without_simplejpeg_auto_takes_tensorflow_and_simplejpeg_is_refused(monkeypatch):
    # What Python itself takes for a module that is not installed.
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert loader.choose("auto") in ("tensorflow", "gpu")
    with pytest.raises(errors.OptionError, match=r'pip install "geods\[fast\]"'):
        threaded_decoder.ThreadedDecoder(4, 4, "simplejpeg")

"""Memory checks: the bytes needed and available, and the flag to change."""

import pathlib

import psutil
import pytest

from geods import errors
from geods.cli import flags as cli_flags
from geods.dataset import dataset_reader
from geods.storage import memory
from trainers.options import train_options
from trainers.training import fitted_heads, inputs


def test_what_is_available_is_what_the_system_says():
    assert 0 < memory.available_bytes() <= psutil.virtual_memory().total
    memory.check_memory("a byte", 1, "")
    with pytest.raises(
        MemoryError, match=r"a lot would take 1,000,000.0 GB of memory, [\d.,]+ are available\.\nNext: go"
    ):
        memory.check_memory("a lot", 1e15, "go")


def test_batches_of_images_that_cannot_fit_are_refused_before_any_is_read(data_dir):
    cells = dataset_reader.partition_of(dataset_reader.open_builder(data_dir, "random"))
    settings = cli_flags.build(train_options.TrainOptions, data_dir=str(data_dir), config="random", batch_size=10**6)
    with pytest.raises(
        errors.MemoryShortError, match=r"--batch_size=1000000 .*3 a location, would take 288,\d+"
    ) as told:
        inputs.from_images(settings.data, (2000, 4000), "train", cells, train=True, run=settings.run)
    assert "lower --shuffle_locations, or --batch_size" in str(told.value)


def test_the_jpegs_that_wait_to_be_shuffled_are_counted(data_dir):
    builder = dataset_reader.open_builder(data_dir, "random")
    whole = sum(path.stat().st_size for path in pathlib.Path(builder.data_path).glob("*train.tfrecord*"))
    assert dataset_reader.buffer_bytes(builder, "train", 10**6) == pytest.approx(whole, rel=0.1)
    places = builder.info.splits["train"].num_examples
    assert dataset_reader.buffer_bytes(builder, "train", places // 2) == pytest.approx(whole / 2, rel=0.1)


def test_a_regression_of_more_places_than_fit_is_refused():
    with pytest.raises(
        errors.MemoryShortError, match=r"--most_places=1000000: .* would take 24,[\d,.]+ GB.*\nNext: lower"
    ):
        fitted_heads._check_memory(10**6, (4, 6, 16), 10, 0)

"""The tf.data service as real processes, one of its two workers killed."""

import collections
import contextlib
import dataclasses
import gc
import json
import pathlib
import signal
import socket

import drawn_datasets
import pytest
import road
import starts
import tensorflow as tf
import tensorflow_datasets as tfds

from geods import errors, geods_dataset_builder
from geods.cli import flags as cli_flags
from geods.dataset import dataset_reader
from geods.input import data_service, pipeline
from tools import benchmark_input
from trainers.options import train_options

PLACES, SHARDS = 120, 12
LISTENS = "listens on port"


def free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("localhost", 0))
        return holder.getsockname()[1]


@dataclasses.dataclass
class Service:
    """A dispatcher and two workers; the second is killed and started again."""

    ends: contextlib.ExitStack
    port: int = dataclasses.field(default_factory=free_port)
    ports: list[int] = dataclasses.field(default_factory=lambda: [free_port(), free_port()])
    workers: list[starts.Started] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.start("dispatcher", self.port).wait_to_say(LISTENS)
        self.workers = [self.start("worker", port, f"--dispatcher={self.address}") for port in self.ports]
        for worker in self.workers:
            worker.wait_to_say(LISTENS)

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def start(self, role: str, port: int, *more: str) -> starts.Started:
        """Starts the real program."""
        return self.ends.enter_context(road.started("tools.data_service", f"--role={role}", f"--port={port}", *more))

    def kill_worker(self) -> None:
        """Kills the second worker."""
        self.workers[1].send(signal.SIGKILL)
        self.workers[1].wait()

    def start_worker(self) -> None:
        """Starts the second worker again, under its port."""
        self.workers[1] = self.start("worker", self.ports[1], f"--dispatcher={self.address}")
        self.workers[1].wait_to_say(LISTENS)


@pytest.fixture(scope="module")
def service():
    """A service for all tests; a test that kills a worker starts it again."""
    with contextlib.ExitStack() as ends:
        yield Service(ends)
        # An iterator says goodbye when it is collected, and waits 30 s for a dispatcher that is gone.
        gc.collect()


@pytest.fixture(scope="module")
def builder(tmp_path_factory) -> tfds.core.DatasetBuilder:
    folder = tmp_path_factory.mktemp("service")
    root = drawn_datasets.make_tree(folder / "tree", PLACES)
    config = tfds.download.DownloadConfig(manual_dir=root, num_shards=SHARDS)
    built = geods_dataset_builder.Builder(data_dir=folder / "ds", config="report")
    built.download_and_prepare(download_config=config)
    return dataset_reader.open_builder(folder / "ds", "report")


def epoch(builder, address: str) -> tf.data.Dataset:
    shape = pipeline.PipelineOptions(16, 24, batch_size=4, shuffle=True, deterministic=False, service=address)
    return pipeline.batches(builder, "train", shape)


def ids(batch) -> list[str]:
    return [name.decode() for name in batch["location_id"].numpy()]


# First, as it takes 30 s more once two workers were killed.
def test_what_it_decodes_is_measured_like_any_loader(service, tree_dir, tmp_path):
    flags = [f"--images={tree_dir}", f"--work_dir={tmp_path}", "--height_px=32", "--width_px=48", "--rounds=1"]
    flags += ["--locations=30", f"--only={benchmark_input.OURS_ELSEWHERE}"]
    done = road.program("tools.benchmark_input", *flags, f"--data_service={service.address}")
    assert f"| {benchmark_input.OURS_ELSEWHERE} " in done.stdout
    assert json.loads((tmp_path / "input.jsonl").read_text())["identical"] == 1
    refused = road.program("tools.benchmark_input", *flags, f"--data_service=localhost:{free_port()}", expect=2)
    assert "no tf.data service answers there" in refused.stderr


def test_an_epoch_has_every_location_once_and_a_killed_worker_costs_its_shards(builder, service):
    wanted = set(dataset_reader.index(builder, "train").location_ids.tolist())
    seen = collections.Counter(name for batch in epoch(builder, service.address) for name in ids(batch))
    assert seen == collections.Counter(wanted)

    batches = iter(epoch(builder, service.address))
    seen = collections.Counter(ids(next(batches)))
    service.kill_worker()
    service.start_worker()
    for batch in batches:
        seen.update(ids(batch))
    print(f"{len(wanted)} locations, {len(seen)} of them seen in the epoch of the kill")
    assert set(seen.values()) == {1}
    again = collections.Counter(name for batch in epoch(builder, service.address) for name in ids(batch))
    assert again == collections.Counter(wanted)


def test_who_is_not_there_is_told_at_once(builder, tmp_path):
    port = free_port()
    with pytest.raises(errors.OptionError, match=f"localhost:{port}: no tf.data service answers there"):
        epoch(builder, f"localhost:{port}")
    done = road.program(
        "tools.data_service", "--role=worker", f"--port={port}", f"--dispatcher=localhost:{port}", expect=2
    )
    assert f"start one: python -m tools.data_service --port={port}" in done.stderr
    for address in ("5050", "localhost:", ":5050", "host:x"):
        with pytest.raises(errors.OptionError, match="is not host:port"):
            data_service.check_reachable(address)
    with pytest.raises(errors.OptionError, match="--data_service_wait_s=0: must be at least 1"):
        cli_flags.build(train_options.TrainOptions, data_service="localhost:5050", data_service_wait_s=0, run_dir="r")
    with pytest.raises(errors.OptionError, match="in an order of its own"):
        cli_flags.build(train_options.TrainOptions, data_service="localhost:5050", cache_dir="cache")


def test_a_port_that_is_taken_is_told(service):
    port = service.address.rpartition(":")[2]
    done = road.program("tools.data_service", f"--port={port}", expect=2)
    assert f"--port={port}: is taken" in done.stderr


def test_a_training_is_fed_by_it_and_ends_when_a_worker_is_gone_for_good(builder, service, tmp_path):
    folder = pathlib.Path(builder.data_path).parents[2]
    words = [f"--data_dir={folder}", "--config=report", *road.ENCODER, "--head=linear"]
    words += ["--validation_split=", "--batch_size=40", "--epochs=1000"]
    words += [f"--run_dir={tmp_path / 'run'}", "--data_service_wait_s=20"]
    with road.started("trainers.train", *words, f"--data_service={service.address}") as training:
        training.wait_to_say("epoch 2/1000: loss")
        service.kill_worker()
        assert training.wait(timeout_s=120) == 2
        said = training.stderr
    assert "no step ended for 20 s; a worker may be missing.\nNext: start it again under its port" in said
    service.start_worker()

"""Fixtures: one small tree, dataset, cache and run, made by the real programs."""

import fcntl
import gc
import os
import pathlib
import shutil
import signal

import canary
import checkout
import drawn_trees
import hypothesis
import numpy as np
import pytest
import road
import starts

from geods.cli import flags as cli_flags
from geods.geo import partition
from geods.imagery.mapillary import mapillary_options
from geods.imagery.street_view import street_view_options

# Until all is imported and collected, which makes half a million objects and no garbage: 1.5 of 7.5 s of each process.
gc.disable()

# Every program that a test starts has keys in its environment, and must not show them. A key that is there already is
# for `-m live`.
for variable in (street_view_options.KEY_ENV, mapillary_options.TOKEN_ENV):
    os.environ.setdefault(variable, canary.CANARY)

# Who runs the tests in the background of a script has it ignored, and so would all programs that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow without being wrong; hypothesis' own profile for continuous integration has no deadline either.
# tests/soak/soak_mistakes.py sets how many cases each property is tried on.
if hypothesis.settings.get_current_profile_name() == "default":
    cases = int(os.environ.get("GEODS_CASES", "100"))
    hypothesis.settings.register_profile("unhurried", deadline=None, max_examples=cases)
    hypothesis.settings.load_profile("unhurried")


# These start programs or build networks, for seconds each.
_SLOW = tuple(checkout.REPO / "tests" / name for name in ("trainers", "tools", "system", "model", "geods/beam"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Puts slow files first, so that no process works alone on a slow one at the end."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in _SLOW))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    """Starts the warm processes that all processes of pytest-xdist share."""
    if getattr(session.config.option, "numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        shared = starts.shared_by_children()
        shared.__enter__()
        session.config.add_cleanup(lambda: shared.__exit__(None, None, None))


def pytest_collection_finish():
    """Keeps imports out of the search for garbage, as warm_start.py does."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Fails a test whose captured output and log, from its set-up on, hold the key."""
    report = yield
    if report.when == "teardown" and report.passed:
        try:
            canary.assert_clean("".join(text for _, text in report.sections))
        except AssertionError:
            report.outcome, report.longrepr = "failed", f"{item.nodeid}: a key shows in what it printed or logged"
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_key_in_any_file(tmp_path_factory):
    """Looks, after all tests, into all files that they wrote."""
    yield
    canary.assert_no_key(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Folder of the small pipeline, made by the first process that needs it.

    The others wait, and none changes it.

    The folder above those of the processes of pytest-xdist is new in each run of the tests
    (pytest-xdist.readthedocs.io/en/stable/how-to.html, "Making session-scoped fixtures execute only once").
    """
    base = tmp_path_factory.getbasetemp()
    road_dir = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "road"
    road_dir.mkdir(exist_ok=True)

    def made(name: str, make) -> pathlib.Path:
        folder, whole = road_dir / name, road_dir / f"{name}.whole"
        with open(road_dir / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                # What a process that failed has left.
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                canary.assert_no_key(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def tree_dir(made_once) -> pathlib.Path:
    """An imagery tree of 150 locations, with one, two and then always three views."""

    def make(root: pathlib.Path) -> None:
        cells = drawn_trees.cells()
        ids = drawn_trees.location_ids(road.LOCATIONS)
        coords = np.array([[float(part) for part in name.split(",")] for name in ids])
        labels = cells.label(coords[:, 0], coords[:, 1])
        for number, (name, cell, place) in enumerate(zip(ids, labels, coords, strict=True)):
            folder = root / str(cell) / name
            folder.mkdir(parents=True)
            for heading in drawn_trees.HEADINGS[: number + 1]:
                road.draw(*place, heading).save(folder / f"{heading}_2012-05.jpg")
        partition.write(cells, root / "partition.geojson")

    return made_once("tree", make)


@pytest.fixture(scope="session")
def data_dir(tree_dir, made_once) -> pathlib.Path:
    """The tree as a TFDS dataset, config `random` (few places fill all its splits)."""
    flags = ("build", "geods", "--config=random", f"--manual_dir={tree_dir}")
    tfds = "tensorflow_datasets.scripts.cli.main"
    return made_once("data", lambda folder: road.program(tfds, *flags, f"--data_dir={folder}"))


@pytest.fixture(scope="session")
def extract_flags(data_dir) -> list[str]:
    """Flags of trainers.extract for the dataset; --cache_dir is left to the test."""
    own = ("--block_rows=64", "--batch_size=16", "--runtime=tensorflow")
    return [f"--data_dir={data_dir}", "--config=random", *road.ENCODER, *own]


@pytest.fixture(scope="session")
def maps_of(data_dir, made_once):
    """Extracts float32 maps by the small pipeline's encoder; returns their cache_dir."""
    from trainers import extract
    from trainers.options import extract_options

    def extracted(layer: str, backbone: str = "mobilenet_v2") -> pathlib.Path:
        def make(folder: pathlib.Path) -> None:
            where = {"data_dir": str(data_dir), "config": "random", "cache_dir": str(folder), "runtime": "tensorflow"}
            encoder = road.MAPS_FIELDS | {"backbone": backbone, "layer": layer}
            extract.main(cli_flags.build(extract_options.ExtractOptions, **where, **encoder, cache_dtype="float32"))

        return made_once(f"maps {layer}", make)

    return extracted


@pytest.fixture(scope="session")
def cache_dir(extract_flags, made_once) -> pathlib.Path:
    """Pooled features of the dataset."""
    return made_once("cache", lambda folder: road.program("trainers.extract", *extract_flags, f"--cache_dir={folder}"))


@pytest.fixture(scope="session")
def train_flags(data_dir, cache_dir) -> list[str]:
    """Flags of trainers.train for the cache; --run_dir is left to the test."""
    return [f"--data_dir={data_dir}", "--config=random", f"--cache_dir={cache_dir}", "--learning_rate=0.003"]


@pytest.fixture(scope="session")
def run_dir(train_flags, made_once) -> pathlib.Path:
    """A finished run on the cache."""

    def make(folder: pathlib.Path) -> None:
        done = road.program("trainers.train", *train_flags, "--epochs=20", f"--run_dir={folder}")
        (folder / "stdout.txt").write_text(done.stdout)

    return made_once("run", make)

"""Work divided among Beam's own local workers or Dask's, one of them killed."""

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import checkout
import drawn_datasets
import pytest
import road
import starts
import tensorflow_datasets as tfds
from apache_beam.options import pipeline_options

from geods import errors, geods_dataset_builder
from geods.beam import jobs, worker
from geods.storage import files

HELPERS = os.pathsep.join(checkout.SUPPORT)
IN_THREADS = ("--runner=DirectRunner",)
IN_PROCESSES = (*IN_THREADS, "--direct_num_workers=2", "--direct_running_mode=multi_processing")


@pytest.fixture(autouse=True)
def _tasks_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", HELPERS)


def kill_one(folder: pathlib.Path, killed: list[int]) -> None:
    """Kills the worker that has begun the sixth task."""
    while len(begun := list(folder.iterdir())) < 6:
        time.sleep(0.02)
    killed.append(int(max(begun, key=lambda path: path.stat().st_mtime_ns).suffix[1:]))
    os.kill(killed[0], signal.SIGKILL)


def test_a_killed_worker_costs_what_it_had_begun_and_nothing_else(tmp_path, capfd):
    notes, killed = tmp_path / "notes", []
    notes.mkdir()
    killer = threading.Thread(target=kill_one, args=(notes, killed))
    killer.start()
    with jobs.workers(IN_PROCESSES, tmp_path) as crew:
        assert list(crew.map("beam_tasks:slowly", range(12), {"folder": str(notes)}, "")) == [10 * n for n in range(12)]
    killer.join()
    assert f"worker process {killed[0]} is gone" in "".join(capfd.readouterr())
    doers = [path.stem for path in notes.iterdir()]
    assert set(doers) == set(map(str, range(12)))
    # The one that was killed was at one task, and the other may have been in another when the runner was started anew.
    assert len(doers) <= 14
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_process_that_a_worker_starts_is_no_worker(tmp_path, capfd):
    with jobs.workers(IN_PROCESSES, tmp_path) as crew:
        assert list(crew.map("beam_tasks:with_a_child", range(3), {}, "")) == [0, 10, 20]
    assert "is gone" not in "".join(capfd.readouterr())


@pytest.mark.usefixtures("_warm")
def test_a_runner_that_is_not_there_is_told_and_leaves_nothing(tmp_path):
    flags = ("--runner=PortableRunner", "--job_endpoint=localhost:9", "--job_server_timeout=2")
    with (
        jobs.workers(flags, tmp_path) as crew,
        pytest.raises(errors.BeamError, match=r"Beam's runner ended with code 1: .*Timeout"),
    ):
        list(crew.map("beam_tasks:refused", [0], {}, ""))
    assert list(tmp_path.iterdir()) == []


def test_a_worker_with_other_code_is_refused(tmp_path):
    copy = tmp_path / "copy"
    for package in ("geods", "model", "trainers"):
        shutil.copytree(road.REPO / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "job"
    job = {"function": "beam_tasks:refused", "arguments": {}, "tasks": 2, "flags": [], "version": worker.version()}
    files.write_json(folder / worker.JOB, job)
    for number, change in enumerate(("", "# another line\n")):
        with (copy / "geods" / "errors.py").open("a") as source:
            source.write(change)
        files.write_text(worker.task_path(folder, number), str(number))
        words = [sys.executable, "-c", f"from geods.beam import worker; worker.work({number}, {str(folder)!r})"]
        subprocess.run(words, cwd=copy, env=os.environ | {"PYTHONPATH": f"{copy}:{HELPERS}"}, check=True)
    wrong = f"a worker runs .*, the program that asks for the work {re.escape(worker.version())}"
    for number, error, words in ((0, errors.TreeError, "task 0: cannot be done"), (1, errors.BeamError, wrong)):
        with pytest.raises(error, match=words):
            jobs._result(worker.result_path(folder, number))
    with pytest.raises(errors.BeamError, match="the runner has ended without this result"):
        jobs._result(worker.result_path(folder, 2))


def test_options_are_written_as_tfds_takes_them():
    assert jobs.flags_of("runner=DirectRunner, direct_num_workers=2") == (*IN_THREADS, "--direct_num_workers=2")
    for text in ("", "--runner=DirectRunner", "runner=x,,y"):
        with pytest.raises(errors.OptionError, match="is not a list of name=value"):
            jobs.flags_of(text)


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """Address of a scheduler, two workers, a function that starts one, and itself."""
    file = tmp_path_factory.mktemp("dask") / "file"
    common = ("--no-dashboard", f"--scheduler-file={file}")
    scheduler = ("distributed.cli.dask_scheduler", "--host=127.0.0.1", "--port=0", *common)
    worker = ("distributed.cli.dask_worker", "--nthreads=1", "--no-nanny", f"--local-directory={file.parent}", *common)
    with contextlib.ExitStack() as ends:
        start = lambda words: ends.enter_context(starts.started(starts.HEAVY, words, checkout.environment()))  # noqa: E731
        head = start(scheduler)
        workers = [start(worker) for _ in range(2)]
        while not file.exists() or not file.read_text().endswith("}"):
            time.sleep(0.05)
        yield json.loads(file.read_text())["address"], workers, functools.partial(start, worker), head


@pytest.fixture
def _warm():
    """Starts the processes that drive Beam from a warm one."""
    with starts.warm_children(starts.HEAVY):
        yield


@pytest.mark.usefixtures("_warm")
def test_dask_builds_the_same_bytes_and_a_killed_worker_costs_its_task(dask, tmp_path):
    address, workers, *_ = dask
    words = jobs.flags_of(f"runner=DaskRunner,dask_client_address={address}")
    root = drawn_datasets.make_tree(tmp_path / "tree")

    def built(data_dir: str, **more) -> dict[str, str]:
        config = tfds.download.DownloadConfig(manual_dir=root, num_shards=2, **more)
        geods_dataset_builder.Builder(data_dir=tmp_path / data_dir, config="random").download_and_prepare(
            download_config=config
        )
        return drawn_datasets.hashes(tmp_path / data_dir)

    assert built("dask", beam_options=pipeline_options.PipelineOptions(list(words))) == built("here")
    notes = tmp_path / "notes"
    notes.mkdir()
    killed = []
    killer = threading.Thread(target=kill_one, args=(notes, killed))
    killer.start()
    with jobs.workers(words, tmp_path) as crew:
        assert list(crew.map("beam_tasks:slowly", range(12), {"folder": str(notes)}, "")) == [10 * n for n in range(12)]
    killer.join()
    doers = [path.name.split(".") for path in notes.iterdir()]
    assert {int(task) for task, _ in doers} == set(range(12))
    assert {int(process) for _, process in doers} == {worker.pid for worker in workers}
    assert len(doers) <= 13
    # One that was killed may not have written it.
    assert {path.read_text() for path in notes.iterdir()} - {""} == {"1"}


def test_a_dask_worker_without_geods_and_a_scheduler_that_ends_are_named(dask, tmp_path):
    address, workers, start_worker, scheduler = dask
    words = jobs.flags_of(f"runner=DaskRunner,dask_client_address={address}")
    for one in workers:
        one.send(signal.SIGKILL)
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "geods.py").write_text("raise ImportError('hidden')")
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads=1", "--no-nanny"]
    # Not from a warm process, which has imported geods.
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "hidden")}
    lacking = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
    with (
        jobs.workers(words, tmp_path) as crew,
        pytest.raises(errors.BeamError, match=r"code 1: ImportError: the worker on .* has no geods \(hidden\)"),
    ):
        list(crew.map("beam_tasks:refused", [0], {}, ""))
    lacking.kill()
    lacking.wait()
    start_worker()
    notes = tmp_path / "notes"
    notes.mkdir()

    def end_scheduler() -> None:
        while not any(notes.iterdir()):
            time.sleep(0.02)
        scheduler.send(signal.SIGKILL)

    ending = threading.Thread(target=end_scheduler)
    ending.start()
    with (
        starts.warm_children(starts.HEAVY),
        jobs.workers(words, tmp_path) as crew,
        pytest.raises(
            errors.BeamError, match=r"the runner has ended without this result\.\nNext: see that its scheduler"
        ),
    ):
        list(crew.map("beam_tasks:slowly", range(40), {"folder": str(notes)}, ""))
    ending.join()


@pytest.mark.usefixtures("_warm")
def test_a_dask_cluster_that_is_not_there_is_named_in_one_line(tmp_path):
    words = jobs.flags_of("runner=dask,dask_client_address=tcp://127.0.0.1:9,dask_connection_timeout=1")
    with (
        jobs.workers(words, tmp_path) as crew,
        pytest.raises(errors.BeamError, match=r"Beam's runner ended with code 1: .*tcp://127\.0\.0\.1:9 after 1 s"),
    ):
        list(crew.map("beam_tasks:refused", [0], {}, ""))
    assert list(tmp_path.iterdir()) == []


def test_dask_gets_a_part_for_each_task_and_a_short_timeout():
    found = list(jobs._with_defaults(["--runner=DaskRunner"]))
    assert found[0] == f"--runner={worker.DASK}"
    assert {"--dask_partition_size=1", "--dask_connection_timeout=10"} <= set(found)
    given = ["--runner=DaskRunner", "--dask_npartitions=4", "--dask_connection_timeout=60"]
    assert not {"--dask_partition_size=1", "--dask_connection_timeout=10"} & set(jobs._with_defaults(given))

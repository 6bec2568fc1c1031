"""Locks between real processes."""

import re
import socket
import subprocess
import sys

import pytest

from geods import errors
from geods.storage import locks

HOLD = (
    "import sys, time; from geods.storage import locks\n"
    "with locks.exclusive(sys.argv[1], RuntimeError):\n print('held', flush=True); time.sleep(60)"
)


def busy(process):
    return errors.TreeError(f"process {process} is there.", "wait")


def test_a_lock_is_held_until_its_process_dies(tmp_path):
    path = tmp_path / "deep" / ".lock"
    assert not locks.is_held(path)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert locks.is_held(path)
        since = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
        told = rf"process {holder.pid} on {re.escape(socket.gethostname())} since {since} is there"
        with pytest.raises(errors.TreeError, match=told), locks.exclusive(path, busy):
            pass
        holder.kill()
    assert not locks.is_held(path)
    with locks.exclusive(path, busy):
        assert locks.is_held(path)
    assert not locks.is_held(path)


def test_who_asks_does_not_keep_the_lock_from_who_wants_it(tmp_path):
    path = tmp_path / ".lock"
    asking = (
        "import sys\nfrom geods.storage import locks\nprint('go', flush=True)\nwhile True: locks.is_held(sys.argv[1])"
    )
    with subprocess.Popen([sys.executable, "-c", asking, str(path)], stdout=subprocess.PIPE, text=True) as asker:
        assert asker.stdout.readline() == "go\n"
        try:
            for _ in range(200):
                with locks.exclusive(path, busy):
                    pass
        finally:
            # Else a failure would wait for it forever.
            asker.kill()


WORK = """
import pathlib, sys, time
from geods import errors
from geods.storage import locks
folder = pathlib.Path(sys.argv[1])
try:
    with locks.folder(folder, errors.RunError, "go elsewhere"):
        # As long as it takes until all others were refused.
        while len(list(folder.glob("refused*"))) < int(sys.argv[2]) - 1:
            time.sleep(0.01)
        (folder / "worked").touch(exist_ok=False)
        print("worked")
except errors.RunError as error:
    print(error)
    (folder / f"refused {time.monotonic_ns()}").touch()
"""


@pytest.mark.parametrize("count", [2, 8])
def test_of_several_processes_one_works_and_the_others_say_which(tmp_path, count):
    command = [sys.executable, "-c", WORK, str(tmp_path), str(count)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    said = {process.pid: process.communicate()[0] for process in processes}
    (winner,) = (pid for pid, words in said.items() if words == "worked\n")
    refusals = [words for pid, words in said.items() if pid != winner]
    expected = (
        rf"{tmp_path}: process {winner} on .* since .* UTC is writing there\.\nNext: wait until it ends, or go elsewh"
    )
    assert all(re.match(expected, words) for words in refusals), refusals


def test_who_holds_a_folder_removes_what_killed_ones_left(tmp_path):
    (tmp_path / ".a.0123abcd.tmp.csv").touch()
    (tmp_path / ".unfinished.0123abcd.tmp").mkdir()
    (tmp_path / ".unfinished.0123abcd.tmp" / "a").touch()
    with locks.folder(tmp_path, errors.RunError, ""):
        assert [path.name for path in tmp_path.iterdir()] == [locks.NAME]
    assert not list(tmp_path.iterdir())


COUNT = """
import pathlib, sys
from geods import errors
from geods.storage import locks
folder, done = pathlib.Path(sys.argv[1]), 0
while done < 200:
    try:
        with locks.folder(folder, errors.RunError, ""):
            number = int((folder / "count").read_text())
            (folder / "count").write_text(str(number + 1))
            done += 1
    except errors.RunError:
        pass
"""


def test_a_folder_that_was_made_and_not_used_is_gone(tmp_path):
    with locks.folder(tmp_path / "new", errors.RunError, ""):
        pass
    assert not (tmp_path / "new").exists()


def test_a_lock_that_is_removed_each_time_is_never_held_twice(tmp_path):
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path)]
    for process in [subprocess.Popen(command) for _ in range(3)]:
        assert process.wait() == 0
    assert (tmp_path / "count").read_text() == "600"


def test_those_who_share_a_lock_keep_one_out_who_wants_it_alone(tmp_path):
    path = tmp_path / ".lock"
    alone, refused = locks.exclusive(path, busy), pytest.raises(errors.TreeError, match="process unknown is there")
    with locks.shared(path, busy), locks.shared(path, busy), refused, alone:
        pass
    refused = pytest.raises(errors.TreeError, match=r"process \d+ on .* since")
    with locks.exclusive(path, busy), refused, locks.shared(path, busy):
        pass
    with locks.shared(path, busy):
        pass

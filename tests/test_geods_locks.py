"""Locks between real processes."""

import subprocess
import sys

import pytest

from geods import errors, locks

HOLD = (
    "import sys, time; from geods import locks\n"
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
        with pytest.raises(errors.TreeError, match=f"process {holder.pid} is there"), locks.exclusive(path, busy):
            pass
        holder.kill()
    assert not locks.is_held(path)
    with locks.exclusive(path, busy):
        assert locks.is_held(path)
    assert not locks.is_held(path)


def test_who_asks_does_not_keep_the_lock_from_who_wants_it(tmp_path):
    path = tmp_path / ".lock"
    asking = "import sys\nfrom geods import locks\nprint('go', flush=True)\nwhile True: locks.is_held(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", asking, str(path)], stdout=subprocess.PIPE, text=True) as asker:
        assert asker.stdout.readline() == "go\n"
        try:
            for _ in range(200):
                with locks.exclusive(path, busy):
                    pass
        finally:
            # Else a failure would wait for it for ever.
            asker.kill()

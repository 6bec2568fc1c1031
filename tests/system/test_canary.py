"""The search for keys in all that tests print and write finds them."""

import os
import subprocess
import sys
import tempfile

import checkout
import road

LEAKS = """
import canary, logging
def test_line(): print(canary.CANARY)
def test_log(): logging.getLogger("x").error(canary.forms()[1])
def test_file(tmp_path): (tmp_path / "x").write_bytes(b"0" + canary.forms()[3].encode())
def test_key(tmp_path): (tmp_path / "key").write_text(canary.CANARY)
"""


def test_leaks_are_found():
    # Not in tmp_path, where the search would find them again.
    with tempfile.TemporaryDirectory() as scratch:
        with open(f"{scratch}/test_leak.py", "w", encoding="utf-8") as file:
            file.write(LEAKS)
        words = ["-p", "conftest", "-p", "no:cacheprovider", f"--rootdir={road.REPO}", f"--basetemp={scratch}/made"]
        command = [sys.executable, "-m", "pytest", "-q", *words, f"{scratch}/test_leak.py"]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(road.REPO / "tests"), *checkout.SUPPORT, str(road.REPO)])
        }
        done = subprocess.run(command, cwd=road.REPO, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    # What is in a file is found when all tests are over, and so held against the last.
    assert "4 passed, 3 errors" in done.stdout
    for words in ("test_line: a key shows", "test_log: a key shows", "test_file0/x"):
        assert words in done.stdout
    assert "test_key0" not in done.stdout

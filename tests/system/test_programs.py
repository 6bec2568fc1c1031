"""Rules for every program: a docstring with its command, a fast --help.

And an answer to a wrong flag.
"""

import ast
import json
import os
import socket
import subprocess
import sys
import tempfile

import all_programs
import checkout
import pytest
import road
import starts

HEAVY = (
    *("numpy", "shapely", "tqdm", "PIL", "requests", "fiona", "scipy", "matplotlib"),
    *("tensorflow", "keras", "tensorflow_datasets", "apache_beam"),
)


def test_there_are_programs():
    assert {"trainers.train", "trainers.extract", "trainers.evaluate", "tools.render"} <= set(
        map(all_programs.name_of, all_programs.PROGRAMS)
    )


@pytest.mark.parametrize("path", all_programs.PROGRAMS, ids=all_programs.name_of)
def test_docstring_starts_with_the_command(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring is not None
    assert docstring.splitlines()[0].startswith(f"python -m {all_programs.name_of(path)}") or docstring.splitlines()[
        2
    ].strip().startswith(f"python -m {all_programs.name_of(path)}")


@pytest.mark.parametrize("path", all_programs.PROGRAMS, ids=all_programs.name_of)
def test_help_names_the_flags_and_imports_nothing_heavy(path):
    # A timed test would fail on a busy machine; that nothing heavy is imported is what makes --help fast.
    with starts.started(starts.BARE, [all_programs.name_of(path), "--help"], dict(os.environ), HEAVY) as running:
        running.wait()
        assert running.stderr == ""
        assert "  --" in running.stdout


@pytest.mark.parametrize("path", all_programs.PROGRAMS, ids=all_programs.name_of)
def test_a_misspelt_flag_is_answered_in_a_few_lines(path):
    done = starts.ended(starts.BARE, [all_programs.name_of(path), "--no_such_flag=1"], dict(os.environ))
    assert done.returncode != 0
    assert "no_such_flag" in done.stderr
    assert len(done.stderr.splitlines()) <= 12


def test_a_test_that_is_killed_as_it_asks_for_a_program_harms_no_other():
    # A process of the kill tests once took the warm process of all others with it.
    order = {"arguments": ["tools.audit", "--help"], "environment": {}, "absent": [], "repo": str(checkout.REPO)}
    for words in (None, json.dumps(order).encode()):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as killed, open(os.devnull) as nothing:
            killed.connect(str(starts.warm_folder(*starts.BARE) / "socket"))
            if words:
                socket.send_fds(killed, [words], [nothing.fileno()] * 3)
    assert "--tree" in starts.ended(starts.BARE, ["tools.audit", "--help"], dict(os.environ)).stdout


def test_a_program_whose_reader_has_ended_ends_without_a_word():
    command = [sys.executable, "-m", "tools.predict", "--help"]
    with subprocess.Popen(command, cwd=checkout.REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


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

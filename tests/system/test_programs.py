"""Rules for every program: a docstring with its command, a fast --help.

And an answer to a wrong flag.
"""

import ast
import os
import subprocess
import sys

import all_programs
import checkout
import pytest
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


def test_a_program_whose_reader_has_ended_ends_without_a_word():
    command = [sys.executable, "-m", "tools.predict", "--help"]
    with subprocess.Popen(command, cwd=checkout.REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141

"""The doctor names missing parts and the command for each, and shows no key."""

import os
import pathlib
import re
import subprocess
import sys

import canary
import checkout
import pytest
from packaging.requirements import Requirement

from geods import errors
from geods.imagery.mapillary import mapillary_options
from geods.imagery.street_view import street_view_options
from tools import doctor


def run(*words: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs it as a user would."""
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=checkout.REPO, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_all_is_here_and_a_key_does_not_show():
    done = run("-m", "tools.doctor", "--network=false", "--min_memory_gb=0", GOOGLE_MAPS_API_KEY=canary.CANARY)
    assert done.returncode == 0, done.stdout + done.stderr
    canary.assert_clean(done.stdout + done.stderr)
    lines = done.stdout.splitlines()
    assert "ok    GOOGLE_MAPS_API_KEY is set" in lines
    assert lines[-1] == "all that is needed is here"
    assert any(line.startswith("ok    packages: all ") for line in lines)
    assert all(line.split()[0] in ("ok", "note", "Next:", "all") for line in lines)


def test_where_nothing_is_installed_it_says_how_to_install():
    done = run("-S", "-m", "tools.doctor")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: No module named 'absl'.",
        'Next: pip install -c constraints.txt -e "."',
    ]


def test_what_is_missing_or_broken_is_named_with_the_command(tmp_path):
    import absl

    (tmp_path / "absl").symlink_to(pathlib.Path(absl.__path__[0]))
    (tmp_path / "tensorflow.py").write_text("raise ImportError('cut short')")
    done = run("-S", "-m", "tools.doctor", "--network=false", "--min_memory_gb=0", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "bad   package packaging is missing" in done.stdout
    assert "bad   TensorFlow does not start: ImportError: cut short" in done.stdout
    assert done.stdout.count('      Next: pip install -c constraints.txt -e "."') == 2
    assert done.stdout.splitlines()[-1] == "2 missing or wrong"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("numpy>=2.0", ""),
        ("numpy>=99", r"numpy [\d.]+ does not fit >=99"),
        ("no-such-package-of-ours>=1", r"no-such-package-of-ours is missing \(>=1\)"),
    ],
)
def test_packages_are_compared_with_what_is_asked_for(line, problem):
    found = doctor._problem_of(Requirement(line))
    assert bool(found) == bool(problem)
    if problem:
        assert re.fullmatch(problem, found)


def test_keys_have_the_names_that_are_read():
    names = (street_view_options.KEY_ENV, street_view_options.SIGNING_SECRET_ENV, mapillary_options.TOKEN_ENV)
    assert tuple(doctor._KEYS) == names


def test_little_room_is_told():
    findings = list(doctor._room(doctor.Options(min_memory_gb=1e6, min_disk_gb=1e6)))
    assert [finding.verdict for finding in findings] == ["bad", "bad"]
    assert findings[1].fix == "make room: 1e+06 GB are needed"


def test_a_host_that_does_not_answer_is_told():
    # Port 9 of this machine is that of the discard protocol, which nobody runs.
    assert doctor._cause_of_silence("http://127.0.0.1:9", 2) == "ConnectionError"


def test_options_check_themselves():
    with pytest.raises(errors.OptionError, match="--timeout_s=0: is not above 0"):
        doctor.Options(timeout_s=0)

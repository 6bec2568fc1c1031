"""Kills, resumed trainings and several processes on one folder, by the soak at its smallest."""

import json
import subprocess
import sys

import pytest
import road


@pytest.mark.parametrize(
    "flags",
    [
        ["--part=build,extract,evaluate,together", "--kills=2", "--processes=2"],
        ["--part=train,resume", "--kills=2", "--steps=1", "--trainings=lstm"],
    ],
)
def test_nothing_is_torn_lost_or_done_twice(flags):
    command = [sys.executable, "tests/soak_kills.py", *flags]
    done = subprocess.run(command, cwd=road.REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = {
        line.split(": ")[0]: json.loads(line.split(": ", 1)[1].rsplit(" in ", 1)[0])
        for line in done.stdout.splitlines()
    }
    assert set(seen) == set(flags[0].removeprefix("--part=").split(","))
    assert all(part.get("kills", 2) >= 2 for part in seen.values())

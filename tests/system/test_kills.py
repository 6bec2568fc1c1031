"""The soak of kills at its smallest: a build and a training of an LSTM."""

import json
import subprocess
import sys

import checkout


def test_nothing_is_torn_lost_or_done_twice():
    command = [sys.executable, "tests/soak/soak_kills.py", "--part=build,train", "--kills=2"]
    done = subprocess.run(
        command, cwd=checkout.REPO, env=checkout.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for line in done.stdout.splitlines():
        seen = json.loads(line.partition(": ")[2].rpartition(" in ")[0])
        assert seen["kills"] >= 2
        assert seen["torn"] == seen["done again"] == seen["left over"] == 0
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["build", "train"]

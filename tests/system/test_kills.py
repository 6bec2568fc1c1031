"""The soak of kills at its smallest: a build and a training of an LSTM."""

import json

import checkout
import starts


def test_nothing_is_torn_lost_or_done_twice():
    command = ["tests.soak.soak_kills", "--part=build,train", "--kills=2"]
    done = starts.ended(starts.HEAVY, command, checkout.environment())
    assert done.returncode == 0, done.stderr[-3000:]
    for line in done.stdout.splitlines():
        seen = json.loads(line.partition(": ")[2].rpartition(" in ")[0])
        assert seen["kills"] >= 2
        assert seen["torn"] == seen["done again"] == seen["left over"] == 0
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["build", "train"]

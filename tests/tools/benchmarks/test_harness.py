"""Readings between bursts: counted, dropped and refused."""

import json

import pytest
import road

from geods import errors
from tools.benchmarks import harness, results


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(road.REPO)


def contender(kind: str, expected: int = 0, **arguments) -> harness.Contender:
    return harness.Contender(kind.lower(), f"tests.support.drawn.drawn_contenders:{kind}", arguments, expected)


def measured(*contenders, rounds=1, check=None) -> list[harness.Result]:
    return harness.measure(contender("Talker"), contenders, rounds, check, rest_s=0)


def of(*readings, best: float = 100.0) -> harness.Result:
    """Sums up readings given as (rate, burst before, burst after)."""
    worker = harness.Worker(contender("Talker"))
    worker.close()
    taken = [harness.Reading(rate, (before, after), 7.0, (10.0, 18.0)) for rate, before, after in readings]
    return harness._result(worker, 9.0, 50.0, {}, taken, best)


def test_a_ratio_is_the_rate_over_the_bursts_beside_it():
    found = of((50, 90, 110), (30, 100, 100), (60, 100, 100))
    assert found.ratios == [0.5, 0.3, 0.6]
    assert found.cpu_ratios == [0.5] * 3
    assert results.spread(found.ratios) == "0.500 [0.300..0.600]"
    assert results.against(found, of((25, 100, 100))) == "2.00"


def test_readings_beside_a_slow_burst_are_dropped():
    found = of((50, 90, 100), (10, 84, 100), (10, 100, 20))
    assert found.ratios == [50 / 95]
    assert results.rounds(found) == "1, 2, 1"
    nothing = of((50, 10, 20))
    assert results.spread(nothing.ratios) == "no clean round"
    assert results.against(found, nothing) == results.rate(nothing) == ""
    assert results.as_json("input", nothing)["median"] is None
    assert results.legend([found]) == ""


def test_where_none_is_clean_those_between_alike_bursts_stand_in():
    slow = of((10, 50, 50), (12, 48, 50), (90, 20, 60))
    assert not slow.ratios
    assert results.shares(slow) == "~0.222 [0.200..0.245]"
    assert results.shares(slow, 10.0).startswith("~2.22")
    assert results.against(slow, of((50, 100, 100))) == "~0.44"
    assert results.rounds(slow) == "0, 3, 2"
    assert "as fast before as after" in results.legend([slow])
    assert results.as_json("input", slow)["steady_rounds"] == 2


def test_rounds_of_real_processes():
    seen = []
    first, second = measured(
        contender("Talker", 100), contender("Talker", 5, items=5), check=lambda who, facts: seen.append(facts)
    )
    assert seen == [{"runs": 1}, {"runs": 1}], "facts come after the first run and before the readings"
    assert first.facts == {"runs": 1}
    for found in (first, second):
        assert 1 <= len(found.readings) + found.dropped <= 3
        assert found.first > 0
        assert found.peak_rss_mb > 5
    (plain,) = measured(contender("Talker", 100))
    assert plain.facts == {}


def test_a_contender_that_skips_work_is_refused():
    with pytest.raises(errors.BenchmarkError, match="talker: did 99 items instead of 100"):
        measured(contender("Talker", 100, items=99))


def test_a_contender_that_the_check_refuses_ends_it():
    def check(who, facts):
        raise errors.BenchmarkError(f"{who.name}: {facts}")

    with pytest.raises(errors.BenchmarkError, match=r"talker: \{'runs': 1\}"):
        measured(contender("Talker", 100), check=check)


def test_a_contender_that_fails_says_why():
    with pytest.raises(errors.BenchmarkError, match=r"fails: ended: (.|\n)*out of cheese"):
        measured(contender("Fails"))
    with pytest.raises(errors.BenchmarkError, match=r"nobody: ended: (.|\n)*no attribute 'Nobody'"):
        measured(contender("Nobody"))


def test_what_children_do_counts():
    (found,) = measured(contender("Parent", 30))
    assert found.peak_rss_mb > 200
    # The clock of processor time counts in hundredths of a second, for the parent and for the child.
    assert 30 < found.items_per_cpu_s < 30 / (0.3 - 0.02), "0.3 s of a processor for 30 items"


def test_lines_of_json_are_added_with_versions(tmp_path):
    line = results.as_json("input", of((50, 100, 100)), extra=1)
    results.append(tmp_path / "input.jsonl", [line])
    results.append(tmp_path / "input.jsonl", [line, line])
    lines = [json.loads(text) for text in (tmp_path / "input.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert lines[2]["contender"] == "talker"
    assert lines[2]["median"] == 0.5
    assert lines[2]["rounds"] == 1
    assert lines[2]["dropped"] == 0
    assert lines[2]["extra"] == 1
    assert {"python", "tensorflow", "cores", "processor", "bfloat16"} <= set(lines[2]["versions"])
    assert lines[2]["at"].endswith("Z")


def test_a_table_lines_up_and_only_knows_names():
    assert results.table(["a", "bc"], [["1", "2"], ["345", ""]]).splitlines() == [
        "| a   | bc |",
        "| --- | -- |",
        "| 1   | 2  |",
        "| 345 |    |",
    ]
    everyone = [contender("Talker"), contender("Fails")]
    assert results.chosen(everyone, []) == everyone
    assert results.chosen(everyone, ["fails"]) == everyone[1:]
    with pytest.raises(errors.OptionError, match=r"--only=nobody: (.|\n)*choose from talker, fails"):
        results.chosen(everyone, ["fails", "nobody"])

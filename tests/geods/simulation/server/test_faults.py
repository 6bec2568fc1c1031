"""Faults: the requests they hit, and their specification."""

import concurrent.futures
import contextlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from geods.simulation.server import faults

QUERIES = [f"pano={number}" for number in range(2000)]


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def plan(*planned, seed=0, clock=None) -> faults.Plan:
    return faults.Plan(planned, seed, clock or Clock())


def hits(made: faults.Plan, endpoint="image", queries=QUERIES) -> set[str]:
    return {query for query in queries if made.choose(endpoint, query, {}) is not None}


def test_a_rate_hits_that_share():
    found = hits(plan(faults.Fault("http_500", rate=0.1)))
    # 200 expected, standard deviation 13.
    assert 150 < len(found) < 250
    assert hits(plan(faults.Fault("http_500", rate=0.1))) == found
    assert hits(plan(faults.Fault("http_500", rate=0.1), seed=1)) != found
    assert not hits(plan(faults.Fault("http_500", rate=0)))
    assert len(hits(plan(faults.Fault("http_500")))) == len(QUERIES)


@pytest.mark.parametrize("threads", [1, 16])
def test_threads_and_order_change_no_fault(threads):
    planned = [faults.Fault(kind, rate=0.1, first_n_attempts=2) for kind in faults.KINDS]

    def attempts(made, query):
        # The attempts of one query come one after another, those of different queries in any order.
        return query, tuple(getattr(made.choose("image", query, {}), "kind", "") for _ in range(3))

    expected, made = dict(map(attempts, [plan(*planned)] * 500, QUERIES[:500])), plan(*planned)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        assert dict(pool.map(attempts, itertools.repeat(made), reversed(QUERIES[:500]))) == expected
    kinds = {kind for row in expected.values() for kind in row[:2]}
    assert kinds == {kind for kind, (endpoints, _) in faults.KINDS.items() if "image" in endpoints} | {""}
    assert {row[2] for row in expected.values()} == {""}


def test_attempts_are_drawn_apart_and_end():
    made = plan(faults.Fault("http_500", rate=0.5, first_n_attempts=2))
    first, second, third = (hits(made) for _ in range(3))
    assert first != second
    assert 400 < len(first & second) < 600
    assert not third


def test_a_lasting_fault_hits_a_request_always_or_never():
    made = plan(faults.Fault("http_500", rate=0.1, lasting=True))
    first, second = hits(made), hits(made)
    assert first == second
    assert 150 < len(first) < 250


def test_endpoints_have_faults_of_their_own():
    assert not hits(plan(faults.Fault("http_500", "image")), "metadata")
    assert not hits(plan(faults.Fault("grey")), "metadata")
    assert not hits(plan(faults.Fault("missing_date")), "image")
    made = plan(faults.Fault("http_500", rate=0.2))
    assert hits(made) != hits(made, "metadata")


def test_match_picks_requests_and_the_first_fault_wins():
    made = plan(faults.Fault("grey", match={"heading": "90"}), faults.Fault("empty"))
    assert made.choose("image", "a", {"heading": "90"}).kind == "grey"
    assert made.choose("image", "b", {"heading": "0"}).kind == "empty"
    assert made.choose("image", "c", {}).kind == "empty"


def test_a_burst_begins_after_so_many_requests_and_ends_after_so_many_seconds():
    clock = Clock()
    made = plan(faults.Fault("http_500", "image", burst=faults.Burst(3, 2)), clock=clock)
    assert len(hits(made, "metadata", QUERIES[:10])) == 0
    assert [made.choose("image", query, {}) is not None for query in "abcde"] == [False] * 3 + [True] * 2
    clock.now_s += 1.9
    assert made.choose("image", "f", {})
    clock.now_s += 0.2
    assert not made.choose("image", "g", {})


def test_a_burst_of_both_endpoints_counts_both():
    made = plan(faults.Fault("http_500", burst=faults.Burst(2, 1)))
    assert [made.choose(endpoint, "a", {}) is None for endpoint in ("image", "metadata", "image")] == [
        True,
        True,
        False,
    ]


def test_a_specification_is_read_whole(tmp_path):
    rows = [
        {"kind": "http_503", "endpoint": "image", "rate": 0.05, "first_n_attempts": 1, "retry_after_s": 3},
        {"kind": "timeout", "match": {"heading": "90"}, "burst": {"after": 200, "for_s": 2}},
    ]
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(rows))
    expected = (
        faults.Fault("http_503", "image", 0.05, 1, retry_after_s=3),
        faults.Fault("timeout", match={"heading": "90"}, burst=faults.Burst(200, 2)),
    )
    assert faults.read(path) == faults.parse(rows) == expected
    assert faults.parse(rows[1]) == expected[1:]
    assert faults.parse([]) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("http_500", "faults: is no list of faults"),
        ([7], "faults: is no list of faults"),
        ([{"rate": 1}], "number 1: has no kind"),
        ([{"kind": "http_500"}, {"kind": "http_500", "rat": 1}], "number 2: 'rat' is no part of a fault"),
        ({"kind": "http_501"}, "kind 'http_501' is unknown"),
        ({"kind": ["http_500"]}, "is unknown"),
        ({"kind": "grey", "endpoint": "metadata"}, "endpoint 'metadata' cannot have it"),
        ({"kind": "grey", "endpoint": "pictures"}, "endpoint 'pictures' cannot have it"),
        ({"kind": "grey", "rate": 1.5}, "rate=1.5 is not a number from 0 to 1"),
        ({"kind": "grey", "rate": True}, "rate=True is not a number"),
        ({"kind": "grey", "rate": float("nan")}, "rate=nan is not a number"),
        ({"kind": "grey", "first_n_attempts": 0}, "first_n_attempts=0 is not a whole number from 1"),
        ({"kind": "grey", "match": "heading=90"}, "match is no object of texts"),
        ({"kind": "grey", "match": {"heading": 90}}, "match is no object of texts"),
        ({"kind": "grey", "burst": 3}, "burst is no object"),
        ({"kind": "grey", "burst": {"after": 3}}, "burst has not just after and for_s"),
        ({"kind": "grey", "burst": {"after": -1, "for_s": 2}}, "after=-1 is not a whole number from 0"),
        ({"kind": "grey", "burst": {"after": 1, "for_s": "2"}}, "for_s='2' is not a number from 0"),
        ({"kind": "http_503", "retry_after_s": 0.5}, "retry_after_s=0.5 is not a whole number from 0"),
        ({"kind": "http_503", "retry_after_date": 1}, "retry_after_date is neither true nor false"),
        ({"kind": "http_503", "lasting": "yes"}, "lasting is neither true nor false"),
        ({"kind": "slow", "bytes_per_s": 0}, "bytes_per_s=0 is not a number from 1"),
        ({"kind": "huge", "body_bytes": 1 << 40}, "body_bytes=1099511627776 is not a whole number from 1 to"),
    ],
)
def test_what_a_specification_may_not_say(content, words):
    with pytest.raises(errors.OptionError, match=words):
        faults.parse(content)


def test_a_file_that_is_no_specification(tmp_path):
    with pytest.raises(errors.MissingFileError, match="does not exist"):
        faults.read(tmp_path / "none.json")
    path = tmp_path / "faults.json"
    path.write_text("[{]")
    with pytest.raises(errors.OptionError, match="is no JSON"):
        faults.read(path)
    path.write_bytes(b"\xff\xfe[")
    with pytest.raises(errors.OptionError, match="is no JSON"):
        faults.read(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["grey", "image", "90"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "endpoint", "rate", "match", "burst", "after", "for_s", "heading"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_specification_or_a_clear_error(content):
    with contextlib.suppress(errors.OptionError):
        assert all(isinstance(fault, faults.Fault) for fault in faults.parse(content))

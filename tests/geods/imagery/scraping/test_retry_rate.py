"""The rate, on a clock of the test and on the real one."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geods.imagery.scraping import retry


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@given(
    st.floats(0.1, 1000),
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_allowed(per_s, gaps_s):
    clock = Clock()
    limit = retry.Rate(per_s, clock)
    moments = []
    for gap_s in gaps_s:
        clock.now_s += gap_s
        moments.append(clock.now_s + limit.reserve())
    for first in range(len(moments)):
        for last in range(first, len(moments)):
            span_s = moments[last] - moments[first]
            assert last - first + 1 <= span_s * per_s * (1 + 1e-9) + 1 + 1e-6


def test_who_comes_late_does_not_catch_up():
    clock = Clock()
    limit = retry.Rate(10, clock)
    clock.now_s += 50
    assert [pytest.approx(limit.reserve()) for _ in range(3)] == [0, 0.1, 0.2]


def test_a_pause_holds_back_what_is_not_given_out():
    clock = Clock()
    limit = retry.Rate(10, clock)
    assert limit.reserve() == 0
    limit.pause(7)
    assert limit.reserve() == pytest.approx(7)
    limit.pause(1)
    assert limit.reserve() == pytest.approx(7.1)


def test_waiting_ends_when_stopped():
    limit, stop = retry.Rate(0.01), threading.Event()
    assert limit.wait(stop)
    threading.Timer(0.1, stop.set).start()
    began_s = time.monotonic()
    assert not limit.wait(stop)
    assert time.monotonic() - began_s < 5
    assert not limit.wait(stop)


def test_threads_share_one_rate():
    limit, stop, moments = retry.Rate(200), threading.Event(), []

    def work():
        for _ in range(25):
            limit.wait(stop)
            moments.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(moments) - min(moments) >= 199 / 200 * 0.98

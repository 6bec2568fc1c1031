"""When to ask again."""

import threading
import time

import pytest

from geods import errors
from geods.imagery.scraping import retry


def loop(attempts=4, delay_factor=0.001, per_s=1e6):
    return retry.Retries(retry.Rate(per_s), attempts, threading.Event(), retry.Tally(), delay_factor)


def failing(times, error):
    calls = []

    def attempt():
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "answer"

    return attempt, calls


RETRY = errors.SourceRetry("server", "HTTP status 503", 0.5)
PAUSE = errors.SourceRetry("quota", "too fast", 200)
TRANSIENT = errors.ImageRefused("truncated", "half", transient=True)


@pytest.mark.parametrize("error", [RETRY, TRANSIENT, errors.SourceRetry("network", "broke off")])
def test_what_passes_is_asked_for_again(error):
    attempt, calls = failing(3, error)
    paid = []
    assert loop().call(attempt, lambda: paid.append(1)) == "answer"
    assert len(calls) == len(paid) == 4


def test_after_the_last_attempt_comes_no_wait():
    attempt, calls = failing(9, RETRY)
    with pytest.raises(retry.GaveUpError, match="503") as caught:
        loop().call(attempt)
    assert caught.value.cause == "server"
    assert len(calls) == 4
    attempt, calls = failing(9, TRANSIENT)
    with pytest.raises(errors.ImageRefused):
        loop().call(attempt)
    assert len(calls) == 4


def test_what_was_asked_for_again_is_counted_by_its_cause():
    asker = loop(per_s=1e3)
    for error in (RETRY, RETRY, TRANSIENT):
        attempt, _ = failing(2, error)
        asker.call(attempt)
    assert asker.again.counts() == {"server": 4, "truncated image": 2}
    assert asker.again.total() == 6
    with pytest.raises(errors.SourceStop):
        asker.call(failing(1, errors.SourceStop("denied", "no"))[0])
    assert asker.again.total() == 6


@pytest.mark.parametrize("error", [errors.SourceStop("denied", "no"), errors.ImageRefused("grey", "nothing there")])
def test_what_is_final_is_not_asked_for_again(error):
    attempt, calls = failing(9, error)
    with pytest.raises(type(error)):
        loop().call(attempt)
    assert len(calls) == 1


def test_who_cannot_pay_does_not_send():
    attempt, calls = failing(0, RETRY)

    def poor():
        raise KeyError

    with pytest.raises(KeyError):
        loop().call(attempt, poor)
    assert not calls


def test_a_stop_ends_a_wait_and_sends_nothing_more():
    asking = loop(delay_factor=1)
    attempt, calls = failing(9, errors.SourceRetry("server", "wait", 100))
    threading.Timer(0.1, asking.stop.set).start()
    began_s = time.monotonic()
    with pytest.raises(retry.StoppedError):
        asking.call(attempt)
    assert time.monotonic() - began_s < 10
    assert len(calls) == 1
    with pytest.raises(retry.StoppedError):
        asking.call(attempt)
    assert len(calls) == 1


def test_a_quota_pauses_all_and_no_longer_than_two_minutes():
    asking = loop(attempts=2, delay_factor=1)
    attempt, _ = failing(9, PAUSE)
    threading.Timer(0.1, asking.stop.set).start()
    with pytest.raises(retry.StoppedError):
        asking.call(attempt)
    assert 100 < asking.rate.reserve() <= 120


def test_what_is_paid_and_not_sent_is_given_back():
    asking = loop(per_s=0.01)
    asking.rate.reserve()
    attempt, calls = failing(0, RETRY)
    account = []
    threading.Timer(0.1, asking.stop.set).start()
    with pytest.raises(retry.StoppedError):
        asking.call(attempt, lambda: account.append(1), lambda: account.append(-1))
    assert account == [1, -1]
    assert not calls

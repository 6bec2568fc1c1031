"""Money is counted to the unit, by many threads too."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geods.imagery.scraping import budget


@given(
    st.integers(0, 50_000).map(lambda cents: cents / 100),
    st.integers(0, 5000),
    st.sampled_from([0.01, 5.6, 7.0, 10.0, 13.37, 100.0]),
)
def test_what_is_affordable_is_the_most_that_is(max_cost, free_units, per_1000):
    prices = budget.Prices(per_1000, free_units, max_cost)
    most = prices.affordable_units
    assert prices.cost(most) <= max_cost * (1 + 1e-9)
    assert prices.cost(most + 1) > max_cost * (1 - 1e-9)


def test_nothing_costs_nothing():
    assert budget.Prices(0, 0, 0).affordable_units == float("inf")
    assert budget.Prices(7, 0, 0).affordable_units == 0
    assert budget.Prices(7, 10_000, 0).affordable_units == 10_000
    assert budget.Prices(7, 10_000, 0).cost(10_001) == pytest.approx(0.007)


def test_a_location_is_not_begun_that_cannot_be_paid():
    money = budget.Budget(budget.Prices(1000, 0, 5), spent_units=1)
    with money.holding(3) as hold, pytest.raises(budget.ReachedError), money.holding(2):
        pass
    with money.holding(4) as hold:
        hold.spend(1)
        hold.spend(3)
        with pytest.raises(budget.ReachedError):
            hold.spend(1)
    assert money.spent_units == 5


def test_a_retry_is_paid_from_what_nobody_holds():
    money = budget.Budget(budget.Prices(1000, 0, 5))
    with money.holding(3) as hold:
        for _ in range(5):
            hold.spend(1)
        with pytest.raises(budget.ReachedError):
            hold.spend(1)
    assert money.spent_units == 5


def test_what_was_held_in_vain_is_free_again():
    money = budget.Budget(budget.Prices(1000, 0, 3))
    with money.holding(3):
        pass
    with money.holding(3) as hold:
        hold.spend(3)
    with pytest.raises(budget.ReachedError), money.holding(1):
        pass


def test_threads_never_spend_too_much():
    money = budget.Budget(budget.Prices(1000, 0, 1000))
    sent = []

    def work():
        try:
            while True:
                with money.holding(3) as hold:
                    for _ in range(4):
                        hold.spend(1)
                        sent.append(1)
        except budget.ReachedError:
            pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == money.spent_units
    assert 990 <= money.spent_units <= 1000


def test_what_is_taken_back_can_be_spent_again():
    money = budget.Budget(budget.Prices(1000, 0, 3))
    with money.holding(3) as hold:
        hold.spend(2)
        hold.take_back(1)
        assert money.spent_units == 1
        hold.spend(2)
        with pytest.raises(budget.ReachedError):
            hold.spend(1)
    assert money.spent_units == 3

"""Rows that wait on disk come in the order of those in memory."""

from hypothesis import given
from hypothesis import strategies as st

from geods.storage import external_sort

ROWS = st.lists(st.tuples(st.text(max_size=3), st.sampled_from(["", "a", "a\nb", "é", "\\"])), max_size=40)


@given(ROWS, st.integers(1, 50))
def test_rows_come_in_order_however_few_are_in_memory(rows, at_once):
    assert list(external_sort.in_order(rows, at_once)) == sorted(rows)


def test_half_a_character_of_a_file_name_is_kept():
    rows = [("b\udcff",), ("a",), ("b\udcfe",)]
    assert list(external_sort.in_order(rows, 1)) == [("a",), ("b\udcfe",), ("b\udcff",)]

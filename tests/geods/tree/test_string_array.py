"""Strings as UTF-8 bytes: round trips, in a quarter of NumPy's memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geods.tree import string_array

# What file names and ids hold: no NUL, which NumPy takes for the end, and no half of a character.
TEXTS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9), max_size=9)


@given(TEXTS)
def test_what_goes_in_comes_out(given_texts):
    found = string_array.Texts.of(given_texts)
    assert found.tolist() == given_texts == [found[row] for row in range(len(found))]
    assert string_array.Texts(np.array(given_texts, np.str_)).tolist() == given_texts
    assert np.asarray(found).tolist() == given_texts
    assert string_array.Texts.joined([found[:2], found[2:]]).tolist() == given_texts
    assert found[found.order()].tolist() == sorted(given_texts)


def test_a_location_id_takes_22_bytes():
    found = string_array.Texts.of(["41.123456,-101.123456"] * 1000)
    assert found.encoded.nbytes == 21_000
    assert np.asarray(found).nbytes == 84_000


def test_bytes_that_are_no_utf8_are_refused():
    with pytest.raises(ValueError, match="can't decode byte 0xff"):
        string_array.Texts(np.array([b"\xff"]))

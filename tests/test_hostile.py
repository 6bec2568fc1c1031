"""Hostile files run no code, are not followed to other files, and are refused with a message or read as harmless."""

import time

import hostile
import pytest

from geods import errors

SLOWEST_S = 20


@pytest.mark.parametrize("name", hostile.HOSTILE)
def test_hostile_file_does_no_harm(name, tmp_path):
    began = time.monotonic()
    with hostile.watching(tmp_path) as done:
        try:
            found = repr(hostile.HOSTILE[name](tmp_path))
        except errors.GeodsError as error:
            found = str(error)
    assert done == []
    assert hostile.SECRET not in found
    assert str(hostile.SECRET_LON) not in found
    assert time.monotonic() - began < SLOWEST_S

"""The interface of sources, and the three exceptions they raise."""

import dataclasses
import typing

import pytest

from geods import errors
from geods.imagery import source
from geods.imagery.http import api_key
from geods.imagery.street_view import street_view_api, street_view_options


def test_a_panorama_and_a_miss_cannot_change():
    panorama = source.Panorama("id", 46.4, 10.0)
    assert (panorama.date, panorama.sequence, panorama.copyright) == (None, None, "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        panorama.date = "2015-06"
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.Miss("too_far").reason = "too_old"


def test_street_view_is_a_source():
    client: source.Source = street_view_api.StreetView(
        street_view_options.StreetViewOptions(), api_key.Secret("a key of some")
    )
    for name in ("look_up", "fetch", "close", "name", "has_own_licences", "units_per_image"):
        assert hasattr(client, name)
    assert (client.name, client.units_per_image) == ("street_view", 1)
    client.close()


@pytest.mark.parametrize("reason", typing.get_args(source.StopReason))
def test_a_stop_is_an_error_with_a_reason(reason):
    with pytest.raises(RuntimeError, match=r"^no\.\nNext: do this$") as caught:
        raise errors.SourceStop(reason, "no.", "do this")
    assert isinstance(caught.value, errors.GeodsError)
    assert caught.value.reason == reason


@pytest.mark.parametrize("cause", typing.get_args(source.RetryCause))
@pytest.mark.parametrize("after_s", [None, 3.5])
def test_a_retry_is_an_error_with_a_cause_and_perhaps_a_pause(cause, after_s):
    with pytest.raises(ConnectionError, match=r"^later\.\nNext: ask again later$") as caught:
        raise errors.SourceRetry(cause, "later.", after_s)
    assert (caught.value.cause, caught.value.after_s, caught.value.errno) == (cause, after_s, None)


@pytest.mark.parametrize("reason", typing.get_args(source.RefusalReason))
def test_a_refused_image_is_an_error_that_may_be_transient(reason):
    with pytest.raises(errors.ImageError, match=r"^bad\.\nNext: take another location$") as caught:
        raise errors.ImageRefused(reason, "bad.")
    assert (caught.value.reason, caught.value.transient) == (reason, False)
    assert str(errors.ImageRefused(reason, "bad.", transient=True)) == "bad.\nNext: ask again later"

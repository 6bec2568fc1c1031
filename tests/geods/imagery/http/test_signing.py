"""Signatures, against the two vectors that Google has published."""

import pytest

from geods import errors
from geods.imagery.http import api_key, signing


@pytest.mark.parametrize(
    ("text", "signed", "signature"),
    [
        # developers.google.com/maps/documentation/streetview/digital-signature
        (
            "vNIXE0xscrmjlyV-12Nj_BvUPaw=",
            "/maps/api/geocode/json?address=New+York&client=clientID",
            "chaRF2hTJKOScPr-RQCEhZbSzIE=",
        ),
        # googlemaps/google-maps-services-python, tests/test_client.py
        ("a2V5", "The quick brown fox jumps over the lazy dog", "3nybhbi3iqa8ino29wqQcBydtNk="),
    ],
)
def test_published_signatures(text, signed, signature):
    assert signing.sign(signed, api_key.Secret(text)) == signature
    assert signing.sign(signed, api_key.Secret(text.rstrip("="))) == signature


def test_an_encoded_comma_has_another_signature():
    key = api_key.Secret("vNIXE0xscrmjlyV-12Nj_BvUPaw=")
    assert signing.sign("/a?location=46.4,10.0", key) != signing.sign("/a?location=46.4%2C10.0", key)


@pytest.mark.parametrize("text", ["", "not base64!", "ab+/", "====", "abcde", "YWJj=YWJj"])
def test_what_is_no_signing_secret_is_refused_without_showing_it(text):
    with pytest.raises(errors.OptionError, match="signing secret is not URL-safe base64") as caught:
        signing.sign("/", api_key.Secret(text))
    assert not text or text not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None

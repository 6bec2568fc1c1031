"""URLs: which are known, where their mirrors lie, and how texts name them."""

import pathlib

import hypothesis
import pytest
from hypothesis import strategies

from geods import errors
from geods.remote import urls

NAME = strategies.text(strategies.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@pytest.fixture(autouse=True)
def mirror(tmp_path, monkeypatch) -> pathlib.Path:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GEODS_MIRROR", str(tmp_path / "mirror"))
    return tmp_path / "mirror"


@pytest.mark.parametrize("text", ["s3://b/a/c", "gs://b", "s3://b/a b/39.5,-98.35/ü%41+#?.jpg"])
def test_a_url_is_written_as_it_was_given(text):
    assert str(urls.parse(text)) == text
    assert urls.parse(f"{text}/") == urls.parse(text)


@pytest.mark.parametrize(
    "text", ["s3://", "s3:///a", "s3://b//a", "s3://b/a/../c", "gs://b/./a", "s3://../a", f"s3://b/{'a' * 256}"]
)
def test_names_that_could_not_be_files_are_refused(text):
    with pytest.raises(errors.OptionError, match="names no bucket"):
        urls.parse(text)


@pytest.mark.parametrize("text", ["ftp://host/a", "https://host/a", "file:///a", "memory://a", "hdfs://a/b"])
def test_an_unknown_scheme_is_answered_with_those_known(text):
    with pytest.raises(errors.OptionError, match=r"is not known.\nNext: .*gs://BUCKET/NAME and s3://BUCKET/NAME"):
        urls.parse(text)


def test_two_services_have_mirrors_of_their_own(mirror, monkeypatch):
    real = urls.parse("s3://b/a").local
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    other = urls.parse("s3://b/a").local
    assert real == mirror / "s3" / "b" / "a"
    assert other != real
    assert urls.with_urls(f"{real} {other}") == "s3://b/a s3://b/a"


def test_texts_name_the_url_of_a_mirror(mirror):
    assert urls.with_urls(f"wrote {urls.parse('gs://b/a b/c').local}, 3 files") == "wrote gs://b/a b/c, 3 files"
    assert urls.with_urls(f"no room in {mirror}") == f"no room in {mirror}"


@hypothesis.given(names=strategies.lists(NAME, min_size=1, max_size=3))
def test_a_place_covers_what_lies_below_it_and_nothing_else(names):
    key = "/".join(names)
    if not urls.is_file_key(key) or key.endswith("/"):
        return
    place = urls.Url("s3", "b", key)
    assert place.covers(place)
    assert all(above.covers(place) for above in place.above())
    assert place.covers(place.below("x"))
    assert not place.covers(place.at(f"{place.key}x"))
    assert not place.covers(urls.Url("gs", "b", key))
    assert not place.covers(urls.Url("s3", "b"))

"""Secrets do not show, wherever they are looked for."""

import base64
import copy
import dataclasses
import logging
import os
import pathlib
import pickle
import re
import urllib.parse

import pytest
from canary import CANARY
from hypothesis import example, given
from hypothesis import strategies as st

from geods import errors
from geods.imagery.http import api_key

ENV = "GEODS_TEST_KEY"
WORDS = st.text(st.sampled_from("abcXYZ019-_=|/+.~"), min_size=8, max_size=40)


@dataclasses.dataclass(frozen=True)
class Holder:
    key: api_key.Secret


@pytest.fixture(autouse=True)
def _forgotten_afterwards(monkeypatch):
    # Secrets that look like everyday text, such as 00000000, would be taken out of what other tests read.
    monkeypatch.setattr(api_key, "_known", dict(api_key._known))


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(f"{CANARY}\n")
    path.chmod(0o600)
    return path


def test_a_secret_shows_in_no_text_of_it():
    holder = Holder(api_key.Secret(CANARY))
    shown = [repr(holder), str(holder.key), f"{holder.key}", f"{holder.key!r}", f"{vars(holder)}"]
    assert not any(CANARY in text for text in shown)
    assert shown[1] == "***"
    assert not hasattr(holder.key, "__dict__")


def test_a_secret_is_copied_but_never_pickled():
    key = api_key.Secret(CANARY)
    assert dataclasses.asdict(Holder(key))["key"] is copy.copy(key) is key
    with pytest.raises(TypeError, match="cannot be pickled") as caught:
        pickle.dumps(Holder(key))
    assert CANARY not in str(caught.value)


def test_secrets_are_equal_by_their_text():
    assert api_key.Secret("one text") == api_key.Secret("one text")
    assert api_key.Secret("one text") != api_key.Secret("another text")
    assert api_key.Secret("one text") != "one text"
    assert len({api_key.Secret("one text"), api_key.Secret("one text")}) == 1


@example(CANARY, "a", "bc")
@given(WORDS, st.text(max_size=5), st.text(max_size=5))
def test_a_known_secret_is_found_however_it_was_written(value, before, after):
    api_key.Secret(value)
    quoted = {urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value), value.upper()}
    whole = f"{before}{value}{after}".encode(errors="replace")
    encoded = {base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode()}
    for text in {value} | quoted | encoded:
        redacted = api_key.redact(f"{before} {text} {after}")
        assert "***" in redacted
        assert not any(form in redacted for form in {value} | quoted)


@pytest.mark.parametrize(
    "text", ["/a?key={}", "/a?b=c&signature={}", "?access_token={}&b=c", "Authorization: OAuth {}"]
)
def test_the_value_of_a_telling_name_is_redacted_though_unknown(text):
    assert api_key.redact(text.format("never-seen")) == text.format("***")


def test_innocent_text_stays():
    text = "keyword=value, token: none, monkey=1, a short abc of it"
    api_key.Secret("abc")
    assert api_key.redact(text) == text


def test_log_records_are_redacted_with_their_arguments_traceback_and_stack(caplog):
    logger = logging.getLogger("urllib3.connectionpool")
    api_key.guard_logs()
    api_key.Secret(CANARY)
    with caplog.at_level(logging.DEBUG, "urllib3.connectionpool"):
        logger.debug("GET %s", f"/a?key={CANARY}", stack_info=True)
        try:
            int(CANARY)
        except ValueError:
            logger.exception("failed with %s", CANARY)
    assert "GET /a?key=***" in caplog.text
    assert "ValueError: invalid literal for int() with base 10: '***'" in caplog.text
    assert CANARY not in caplog.text
    assert all(record.exc_info is None for record in caplog.records)


def test_guarding_twice_filters_once_and_leaves_a_level_that_was_chosen(monkeypatch):
    monkeypatch.setattr(logging.getLogger("requests"), "level", logging.ERROR)
    api_key.guard_logs()
    api_key.guard_logs()
    kept = logging.getLogger("urllib3.connectionpool").filters
    assert sum(isinstance(each, api_key.RedactingFilter) for each in kept) == 1
    assert logging.getLogger("requests").level == logging.ERROR


def test_a_secret_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv(ENV, f" {CANARY}\n")
    assert api_key.read_secret(ENV).reveal() == CANARY


def test_a_file_that_is_named_wins(monkeypatch, key_file):
    monkeypatch.setenv(ENV, "another-key")
    assert api_key.read_secret(ENV, str(key_file)).reveal() == CANARY


@pytest.mark.parametrize("value", [None, "", " "])
def test_no_secret_is_none_or_an_error_that_says_how(monkeypatch, value):
    monkeypatch.delenv(ENV, raising=False)
    if value is not None:
        monkeypatch.setenv(ENV, value)
    assert api_key.find_secret(ENV) is None
    with pytest.raises(errors.OptionError, match=f"{ENV} is not set") as caught:
        api_key.read_secret(ENV, flag="--api_key_file")
    assert "--api_key_file=FILE" in caught.value.next_step


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_refused(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(errors.OptionError, match=rf"others than its owner may open it \(mode {mode:04o}\)") as caught:
        api_key.read_secret(ENV, str(key_file))
    assert caught.value.next_step == f"chmod 600 {key_file}"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(errors.MissingFileError, match="nowhere: does not exist"):
        api_key.read_secret(ENV, str(tmp_path / "nowhere"))


@pytest.mark.skipif(not pathlib.Path("/proc/self/mem").is_file(), reason="no file that cannot be read even by root")
def test_a_file_that_cannot_be_read_is_named():
    with pytest.raises(errors.MissingFileError, match=r"/proc/self/mem: cannot be read \(Input/output error\)"):
        api_key.read_secret(ENV, "/proc/self/mem")


@pytest.mark.parametrize(
    "content", ["", "short", f"{CANARY} {CANARY}", f'"{CANARY}"', f"{CANARY}\n# note", CANARY * 40, f"{CANARY}é"]
)
def test_what_cannot_be_a_key_is_refused_without_showing_it(monkeypatch, key_file, content):
    key_file.write_text(content, encoding="utf-8")
    with pytest.raises(errors.OptionError, match="key: what it holds is not one word of 8 to 512") as caught:
        api_key.find_secret(ENV, str(key_file))
    assert not content or content[:5] not in str(caught.value).replace(str(key_file), "")
    if content:
        monkeypatch.setenv(ENV, content)
        with pytest.raises(errors.OptionError, match=f"{ENV}: what it holds is not one word"):
            api_key.find_secret(ENV)


def test_the_canary_can_be_told_from_its_forms():
    assert len({CANARY, urllib.parse.quote(CANARY, safe="")}) == 2
    assert re.search(r"[|/+]", CANARY)

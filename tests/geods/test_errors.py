"""The causes that stand in our messages are short."""

from geods import errors


def test_a_short_cause_is_kept_on_one_line():
    assert errors.in_short(ValueError("two\n\nlines")) == "two lines"


def test_a_long_cause_is_cut():
    text = errors.in_short(ValueError("x" * 5000))
    assert len(text) == 300
    assert text.endswith("...")


def test_an_exception_without_words_gives_its_class():
    assert errors.in_short(KeyError()) == "KeyError"

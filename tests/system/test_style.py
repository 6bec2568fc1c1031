"""Sizes of files and functions, summaries of docstrings, and forbidden marks."""

import ast
import pathlib
import re
import statistics

import checkout
import pytest

SOURCES = [
    path
    for package in ("geods", "model", "trainers", "tools")
    for path in sorted((checkout.REPO / package).rglob("*.py"))
]
TESTS = sorted((checkout.REPO / "tests").rglob("*.py"))
PYTHON = [*SOURCES, *TESTS]
ALL_TEXT = [
    *PYTHON,
    *sorted(checkout.REPO.glob("*.md")),
    *sorted((checkout.REPO / "docs").glob("*.md")),
    *sorted((checkout.REPO / "trainers").rglob("*.cfg")),
]
LONGEST_FILE, LARGEST_MEDIAN, LONGEST_FUNCTION, LONGEST_SUMMARY = 400, 200, 60, 79
BANNED_WORDS = re.compile(r"\b(what|who|tells?|told)\b", re.IGNORECASE)
# Folders and files whose docstrings follow the rule of CONTRIBUTING.md on first lines; it is for all of them.
WITH_PLAIN_SUMMARIES = (
    *("geods/errors.py", "tests/conftest.py", "tests/soak/", "tests/system/", "tools/benchmark"),
    *("tests/support/bad_input/", "tests/support/drawn/", "tests/support/programs/", "tests/support/c"),
)


def identify(path: pathlib.Path) -> str:
    return str(path.relative_to(checkout.REPO))


@pytest.mark.parametrize("path", PYTHON, ids=identify)
def test_files_and_functions_are_small(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("paths", [SOURCES, TESTS], ids=["product", "tests"])
def test_half_of_the_files_are_shorter_than_200_lines(paths):
    assert statistics.median(path.read_text(encoding="utf-8").count("\n") for path in paths) < LARGEST_MEDIAN


@pytest.mark.parametrize("path", ALL_TEXT, ids=identify)
def test_no_unfinished_work_and_no_path_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    # Written apart, so that this file does not hold what it looks for.
    assert not re.search(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b", text)
    assert not re.search(r"(?<![\w.])/(home|root|tm" + r"p|wo" + r"rk|Users)/", text)


@pytest.mark.parametrize("path", PYTHON, ids=identify)
def test_every_line_of_a_module_serves_a_docstring_first(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def plain(path: pathlib.Path) -> bool:
    return any(identify(path).startswith(start) for start in WITH_PLAIN_SUMMARIES)


@pytest.mark.parametrize("path", [path for path in PYTHON if plain(path)], ids=identify)
def test_docstrings_start_with_a_short_plain_line(path):
    """Summaries are under 80 characters; those of public names use no BANNED_WORDS."""
    wrong = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            summary = (ast.get_docstring(node) or "").split("\n")[0]
            public = not getattr(node, "name", path.stem).startswith("_")
            if len(summary) > LONGEST_SUMMARY or (public and BANNED_WORDS.search(summary)):
                wrong.append(summary)
    assert not wrong

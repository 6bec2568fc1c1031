"""Sizes of files and functions, summaries of docstrings, and forbidden marks."""

import ast
import functools
import pathlib
import re
import statistics
from collections.abc import Iterator

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
    *sorted((checkout.REPO / "findings").glob("*")),
    *sorted((checkout.REPO / "trainers").rglob("*.cfg")),
]
LONGEST_FILE, LARGEST_MEDIAN, LONGEST_FUNCTION, LONGEST_SUMMARY = 400, 200, 60, 79
BANNED_WORDS = re.compile(r"\b(what|who|tells?|told)\b", re.IGNORECASE)


def identify(path: pathlib.Path) -> str:
    return str(path.relative_to(checkout.REPO))


@functools.cache
def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lines_of(path: pathlib.Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def test_files_and_functions_are_small():
    long = [f"{identify(path)}: {lines_of(path)} lines" for path in PYTHON if lines_of(path) > LONGEST_FILE]
    for path in PYTHON:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                long += [f"{identify(path)}: {node.name} has {lines} lines"] if lines > LONGEST_FUNCTION else []
    assert not long


@pytest.mark.parametrize("paths", [SOURCES, TESTS], ids=["product", "tests"])
def test_half_of_the_files_are_shorter_than_200_lines(paths):
    assert statistics.median(map(lines_of, paths)) < LARGEST_MEDIAN


def test_no_unfinished_work_and_no_path_of_a_machine():
    # Written apart, so that this file does not hold what it looks for.
    unfinished = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    machine = re.compile(r"(?<![\w.])/(home|root|tm" + r"p|wo" + r"rk|Users)/")
    texts = {identify(path): path.read_text(encoding="utf-8") for path in ALL_TEXT}
    assert not [name for name, text in texts.items() if unfinished.search(text) or machine.search(text)]


def test_every_module_has_a_docstring():
    assert not [identify(path) for path in PYTHON if not ast.get_docstring(parsed(path))]


def summaries(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Yields the name of everything that has a docstring, and its first line."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "name", path.stem), (ast.get_docstring(node) or "").split("\n")[0]


def test_docstrings_start_with_a_short_plain_line():
    """Summaries are under 80 characters; those of public names use no BANNED_WORDS."""
    wrong = [
        f"{identify(path)}: {name}: {summary}"
        for path in PYTHON
        for name, summary in summaries(path)
        if len(summary) > LONGEST_SUMMARY or (not name.startswith("_") and BANNED_WORDS.search(summary))
    ]
    assert not wrong

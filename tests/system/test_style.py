"""The size of files and functions, and marks that must not land."""

import ast
import pathlib
import re

import checkout
import pytest

SOURCES = [
    path
    for package in ("geods", "model", "trainers", "tools")
    for path in sorted((checkout.REPO / package).rglob("*.py"))
]
PYTHON = [*SOURCES, *sorted((checkout.REPO / "tests").rglob("*.py"))]
ALL_TEXT = [
    *PYTHON,
    *sorted(checkout.REPO.glob("*.md")),
    *sorted((checkout.REPO / "docs").glob("*.md")),
    *sorted((checkout.REPO / "trainers").rglob("*.cfg")),
]
LONGEST_FILE, LONGEST_FUNCTION = 300, 60


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


@pytest.mark.parametrize("path", ALL_TEXT, ids=identify)
def test_no_unfinished_work_and_no_path_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    # Written apart, so that this file does not hold what it looks for.
    assert not re.search(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b", text)
    assert not re.search(r"(?<![\w.])/(home|root|tm" + r"p|wo" + r"rk|Users)/", text)


@pytest.mark.parametrize("path", PYTHON, ids=identify)
def test_every_line_of_a_module_serves_a_docstring_first(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))

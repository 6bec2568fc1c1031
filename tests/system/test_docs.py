"""The documents name programs, flags and files that exist."""

import ast
import importlib
import pathlib
import re
import shlex

import checkout
import pytest
from absl import flags

from geods.cli import flags as cli_flags

DOCUMENTS = [
    *(checkout.REPO / name for name in ("README.md", "BUILD.md", "CONTRIBUTING.md", "geods/README.md")),
    *sorted((checkout.REPO / "docs").glob("*.md")),
]
RECIPES = sorted((checkout.REPO / "trainers" / "recipes").glob("*.cfg"))
PROGRAMS = [path for folder in ("trainers", "tools") for path in sorted((checkout.REPO / folder).glob("[a-z]*.py"))]


def commands_in(text: str) -> list[str]:
    """Commands of trainers and tools, in lines with continuations and inline code.

    With or without `python -m`.
    """
    joined = re.sub(r"\\\n[#\s]*", " ", text)
    inline = [" ".join(code.split()) for code in re.findall(r"`((?:trainers|tools)\.\w+\s--[^`]*)`", text)]
    wrapped = [" ".join(code.split()) for code in re.findall(r"`python -m ((?:trainers|tools)\.[^`]*)`", text)]
    return [*re.findall(r"python -m ((?:trainers|tools)\.\w+[^\n`|#]*)", joined), *inline, *wrapped]


def options_class_of(module: str) -> type:
    """The first argument of the module's program.run(...)."""
    path = checkout.REPO / (module.replace(".", "/") + ".py")
    calls = re.findall(r"program\.run\((?:\w+\.)?(\w+),", path.read_text(encoding="utf-8"))
    loaded = importlib.import_module(module)
    if hasattr(loaded, calls[0]):
        return getattr(loaded, calls[0])
    names = ("extract_options", "train_options", "evaluate_options")
    modules = [importlib.import_module(f"trainers.options.{name}") for name in names]
    modules.append(importlib.import_module("tools.benchmarks.trees"))
    return next(getattr(found, calls[0]) for found in modules if hasattr(found, calls[0]))


SOURCES_OF_COMMANDS = [*DOCUMENTS, *RECIPES, *PROGRAMS]
ALL_COMMANDS = sorted(
    {
        (path.name, command.strip())
        for path in SOURCES_OF_COMMANDS
        if path.exists()
        for command in commands_in(
            path.read_text(encoding="utf-8")
            if path.suffix != ".py"
            else ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        )
    }
)


def test_there_are_commands():
    assert len(ALL_COMMANDS) > 10


@pytest.mark.parametrize(("source", "command"), ALL_COMMANDS, ids=[f"{s}: {c[:60]}" for s, c in ALL_COMMANDS])
def test_commands_name_programs_and_flags_that_exist(source, command):
    words = shlex.split(command.rstrip(".,:;)"))
    values = flags.FlagValues()
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    flags.DEFINE_integer("verbosity", 0, "", flag_values=values)
    options_class = options_class_of(words[0])
    cli_flags.define(options_class, values)
    given = [word for word in words[1:] if word.startswith("--") and word not in ("--help", "--flagfile=...")]
    values(["", *[word for word in given if not word.startswith("--flagfile")]])
    for word in given:
        if word.startswith("--flagfile=") and not re.search("[A-Z]", word):
            assert (checkout.REPO / word.split("=", 1)[1]).is_file(), f"{source}: {command}"


def anchors_of(path: pathlib.Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them.

    Lower case, no punctuation, hyphens for blanks.
    """
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(checkout.REPO)))
def test_links_lead_to_files_and_headings(path):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors_of(page), f"{path.name} links to {target}"


def test_every_page_is_in_the_index():
    index = (checkout.REPO / "BUILD.md").read_text(encoding="utf-8")
    missing = [path.name for path in (checkout.REPO / "docs").glob("*.md") if f"(docs/{path.name})" not in index]
    assert not missing


def test_every_program_is_in_the_table_of_programs():
    table = (checkout.REPO / "docs" / "tools.md").read_text(encoding="utf-8")
    names = [f"{path.parent.name}.{path.stem}" for path in PROGRAMS if "program.run(" in path.read_text()]
    missing = [name for name in names if f"`{name}`" not in table and f"`_{name.split('_', 1)[-1]}`" not in table]
    assert not missing


NAMED_FILE = re.compile(r"(?<![\w/.-])((?:geods|model|trainers|tools|tests|docs|findings)/[\w./-]*\.(?:py|cfg|md))\b")
NAMED_MODULE = re.compile(r"`(?!model\.(?:keras|onnx|xml|bin|tflite)`)((?:geods|model|trainers|tools)(?:\.\w+)+)`")
PRODUCT = [
    path for package in ("geods", "model", "trainers", "tools") for path in (checkout.REPO / package).rglob("*.py")
]


def is_module_or_member(name: str) -> bool:
    """Returns whether a dotted name is a module, a package or a member of a module."""
    path = checkout.REPO / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file() or path.parent.with_suffix(".py").is_file()


@pytest.mark.parametrize("paths", [DOCUMENTS, PRODUCT], ids=["documents", "docstrings and comments"])
def test_files_and_modules_that_are_named_exist(paths):
    missing = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        missing += [(path.name, name) for name in NAMED_FILE.findall(text) if not (checkout.REPO / name).exists()]
        missing += [(path.name, name) for name in NAMED_MODULE.findall(text) if not is_module_or_member(name)]
    assert not missing


def test_readme_shows_both_commands_within_its_first_lines():
    head = "\n".join((checkout.REPO / "README.md").read_text(encoding="utf-8").splitlines()[:25])
    assert "make demo" in head
    assert "make test" in head


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_hold_flags_the_trainer_takes(path):
    from trainers.options import train_options

    text = path.read_text(encoding="utf-8")
    start = f"python -m trainers.train --flagfile=trainers/recipes/{path.name} "
    command = next(line for line in commands_in(text) if f"python -m {line}".startswith(start))
    assert cli_flags.from_flagfile(train_options.TrainOptions, path, *shlex.split(command)[2:])

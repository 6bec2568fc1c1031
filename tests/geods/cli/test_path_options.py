"""Options that are paths: declared by every program, and refused URLs."""

import ast
import dataclasses
import importlib
import pathlib
import re

import pytest
from all_programs import PROGRAMS, name_of

from geods import errors
from geods.cli import flags, path_options
from geods.remote import urls
from trainers.options import extract_options, train_options

_OF_PATHS = re.compile(r"\b(files?|folders?|paths?|trees?|director(y|ies)|PATH|zip)\b", re.IGNORECASE)
_NAMED_SO = re.compile(
    r".*(_dir|_file|_path)s?|out|paths|boundary|partition|tree|source|compare|predictions|csv|faults"
)
# Words about files that are no paths.
_NO_PATHS = {
    "tools.benchmark_head": {"locations"},
    "tools.benchmark_input": {"locations"},
    "tools.benchmark_job": {"locations", "recipe"},
    "tools.benchmark_scale": {"predictions"},
    "tools.check_tree": {"layout", "names", "on_bad_image", "max_bad_fraction", "record"},
    "tools.convert_tree": {"layout", "to"},
    "tools.import_images": {"file_column", "link"},
    "tools.make_partition": {"layer", "member"},
    "tools.scrape": {"source", "max_cost"},
    # onnx:PATH is no URL: an encoder's file is hashed and copied into the model.
    **{f"trainers.{name}": {"backbone", "layer", "mean"} for name in ("cross_validate", "extract", "train")},
}


def class_of(program: pathlib.Path) -> type:
    """The options that a program gives to program.run."""
    module = importlib.import_module(name_of(program))
    for node in ast.walk(ast.parse(program.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "program.run":
            found: type = eval(ast.unparse(node.args[0]), vars(module))  # noqa: S307 - of our own source
            return found
    raise AssertionError(program)


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_every_option_that_names_a_file_or_folder_says_what_is_done_with_it(program):
    fields = flags.leaves(class_of(program))
    hints = {field.name: field.type for field in fields}
    declared = {field.name: field.metadata["path"] for field in fields if field.metadata["path"]}
    assert set(declared.values()) <= {"in", "out", "may", "local"}
    texts = {name for name, hint in hints.items() if hint in (str, str | None, tuple[str, ...])}
    assert set(declared) <= texts
    for field in fields:
        is_path = _NAMED_SO.fullmatch(field.name) or _OF_PATHS.search(field.metadata["help"])
        if field.name in texts and is_path and field.name not in _NO_PATHS.get(name_of(program), ()):
            assert field.name in declared, f"--{field.name} of {name_of(program)} does not say that it is a path"


def test_the_exceptions_are_of_options_that_there_are():
    for program in PROGRAMS:
        names = {field.name for field in flags.leaves(class_of(program))}
        assert _NO_PATHS.get(name_of(program), set()) <= names


@dataclasses.dataclass(frozen=True)
class Paths:
    """Options of each kind."""

    source: str = flags.option("", "Folder.", path="in")
    key_file: str = flags.option("", "File.", path="local")
    out: str = flags.option("", "Folder.", path="out")
    run_dir: str = flags.option("", "Folder.", path="out", unless="out")
    recipes: tuple[str, ...] = flags.option((), "Files.", path="in")
    service: str = flags.option("", "https://host of a service.")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"key_file": "s3://b/key"}, "--key_file=s3://b/key: cannot be a URL"),
        ({"source": "ftp://b/key"}, "ftp:// is not known"),
        ({"recipes": ("a.cfg", "https://b/b.cfg")}, "https:// is not known"),
    ],
)
def test_a_url_that_cannot_be_is_refused_before_anything_is_asked(given, said):
    with pytest.raises(errors.OptionError, match=said), path_options.with_local_paths(Paths(**given)):
        raise AssertionError


def test_options_without_urls_stay_as_they_are():
    given = Paths(source="a", recipes=("a.cfg@b", "c"), service="https://host/s3://x")
    with path_options.with_local_paths(given) as local:
        assert local is given


def test_the_paths_in_options_and_what_is_done_there():
    given = Paths(run_dir="s3://b/run", recipes=("s3://b/a.cfg@s3://b/f.cfg", "s3://b/c@d.cfg", "mlp@pooled"))
    found = {str(url): mode for url, mode in path_options._urls_in(given)}
    both = {"s3://b/run": "out", "s3://b/a.cfg": "in", "s3://b/f.cfg": "in", "s3://b/c@d.cfg": "in"}
    assert found == both
    given = dataclasses.replace(given, out="s3://b/elsewhere")
    assert {str(url): mode for url, mode in path_options._urls_in(given)} == both | {
        "s3://b/run": "in",
        "s3://b/elsewhere": "out",
    }
    local = path_options._with_paths(given)
    assert local.recipes[0] == f"{urls.parse('s3://b/a.cfg').local}@{urls.parse('s3://b/f.cfg').local}"
    assert local.recipes[2] == "mlp@pooled"
    # What is written down names URLs again.
    assert flags.to_flagfile(local) == flags.to_flagfile(given)


@pytest.mark.parametrize("more", [{"data_service": "localhost:1"}, {"follow": True, "imagery": "tree"}])
def test_what_looks_for_paths_elsewhere_is_refused_with_urls(more):
    given = flags.build(train_options.TrainOptions, run_dir="s3://b/run", **more)
    with (
        pytest.raises(errors.OptionError, match=f"--{next(iter(more))} with s3://b/run"),
        path_options.with_local_paths(given),
    ):
        raise AssertionError


def test_workers_of_beam_are_refused_with_urls():
    given = flags.build(
        extract_options.ExtractOptions, data_dir="s3://b/data", beam_pipeline_options="runner=DirectRunner"
    )
    with (
        pytest.raises(errors.OptionError, match="--beam_pipeline_options with s3://b/data"),
        path_options.with_local_paths(given),
    ):
        raise AssertionError

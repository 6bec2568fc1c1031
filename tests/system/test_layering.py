"""Imports go down only: the table of CONTRIBUTING.md is the architecture."""

import ast
import functools
import pathlib
import re

import checkout
import pytest

# The programs of tools/ aside.
MOST_ENTRIES = 14
OF_TFDS = {"CITATIONS.bib", "README.md", "TAGS.txt", "checksums.tsv"}
PACKAGES = ("geods", "model", "trainers", "tools")

# Inside each of these, a module may import its own package and those of lower levels only. A file counts as a package.
LEVELS = {
    package: [set(level.split(", ")) for level in levels.split("; ")]
    for package, levels in re.findall(
        r"^\| `([a-z.]+)` \| (.*;.*) \|$", (checkout.REPO / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
    )
}
MAY_IMPORT = {
    "geods": {"geods"},
    "model": {"model", "geods"},
    "trainers": {"trainers", "model", "geods"},
    "tools": {"tools", "trainers", "model", "geods"},
}
MODEL_MAY_USE_OF_GEODS = {"geods.errors", "geods.storage.files", "geods.geo.geometry"}
TENSORFLOW = {"tensorflow", "tensorflow_datasets"}
GEODS_WITH_TENSORFLOW = {
    *("geods.dataset.dataset_reader", "geods.dataset.examples", "geods.dataset.records", "geods.dataset.shards"),
    "geods.geods_dataset_builder",
}


def modules() -> list[pathlib.Path]:
    return [path for package in PACKAGES for path in sorted((checkout.REPO / package).rglob("*.py"))]


def module_name(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(checkout.REPO).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def imports_of(path: pathlib.Path) -> frozenset[str]:
    """Names of all modules a file imports, at its top and inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from geods import tree` imports geods.tree.imagery_tree; `from geods.imagery import simulated` likewise.
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def ours(name: str) -> bool:
    return name.split(".")[0] in PACKAGES


def part_below(package: str, name: str) -> str:
    """The part of a module's name after its package's; empty where it is not in it."""
    return name.removeprefix(f"{package}.").split(".")[0] if name.startswith(f"{package}.") else ""


def level_of(package: str, part: str) -> int:
    levels = [number for number, names in enumerate(LEVELS[package]) if part in names]
    # What has no level is a program, above all.
    assert levels or package == "tools", f"{package}.{part} has no level: give it one in CONTRIBUTING.md"
    return levels[0] if levels else len(LEVELS[package])


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_downwards(package):
    for path in (path for path in modules() if module_name(path).split(".")[0] == package):
        for name in filter(ours, imports_of(path)):
            assert name.split(".")[0] in MAY_IMPORT[package], f"{path} imports {name}"
            if package == "model" and name.startswith("geods"):
                assert any(f"{name}.".startswith(f"{one}.") for one in MODEL_MAY_USE_OF_GEODS), f"{path} imports {name}"


@pytest.mark.parametrize("package", LEVELS)
def test_imports_inside_a_package_go_down(package):
    found = {}
    for path in modules():
        me = part_below(package, module_name(path))
        for name in filter(None, (part_below(package, name) for name in imports_of(path))):
            if me and me != name:
                found.setdefault((me, name), module_name(path))
    wrong = {pair: path for pair, path in found.items() if level_of(package, pair[1]) >= level_of(package, pair[0])}
    assert not wrong


def test_the_table_of_levels_is_read_whole_and_names_what_is_there():
    assert set(LEVELS) >= {*PACKAGES, "geods.imagery"}
    for package, levels in LEVELS.items():
        folder = checkout.REPO.joinpath(*package.split("."))
        for part in set().union(*levels) - {"the programs"}:
            assert (folder / part).is_dir() or (folder / f"{part}.py").is_file(), f"{package}.{part} is not there"


def test_no_modules_import_each_other_in_a_circle():
    names = {module_name(path) for path in modules()}
    graph = {module_name(path): imports_of(path) & names - {module_name(path)} for path in modules()}
    while leaves := {name for name, imported in graph.items() if not imported & graph.keys()}:
        graph = {name: imported for name, imported in graph.items() if name not in leaves}
    assert not graph


def test_every_layer_of_a_saved_model_is_imported_by_what_loads_it():
    """Keras finds a class by its registered name only if its module was imported."""
    reached, new = set(), {"model.geolocator"}
    by_name = {module_name(path): path for path in modules()}
    while new:
        reached |= new
        new = {name for known in new for name in imports_of(by_name[known]) if name in by_name} - reached
    layers = {
        name
        for name, path in by_name.items()
        if name.startswith(("model.encoders.", "model.fusion.", "model.heads.", "model.decode"))
        and "@keras.saving.register_keras_serializable" in path.read_text(encoding="utf-8")
    }
    assert layers
    assert layers <= reached


@pytest.mark.parametrize("folder", ["geods", "model", "trainers", "tests"])
def test_folders_are_rooms_of_14_entries_at_most(folder):
    """Counts modules and folders.

    `__init__.py`, py.typed, TFDS' files beside a builder, recipes and the tests of tools' programs do not count.
    """
    for place in [checkout.REPO / folder, *(path for path in (checkout.REPO / folder).rglob("*") if path.is_dir())]:
        entries = {path.name for path in place.iterdir() if not path.name.startswith(("__", "py.typed"))} - OF_TFDS
        assert len(entries) <= MOST_ENTRIES or place.name in ("recipes", "tools"), f"{place}: {len(entries)} entries"


def test_tensorflow_is_imported_only_where_it_must_be():
    allowed = ("trainers", "model.export.", "tools.audit", "tools.benchmarks.", "tools.build_dataset", "geods.input.")
    allowed += tuple(GEODS_WITH_TENSORFLOW)
    # Keras has no way to call another library from a graph, so each backend's own is taken.
    allowed += ("model.encoders.onnx_encoder",)
    for path in modules():
        roots = {imported.split(".")[0] for imported in imports_of(path)}
        assert module_name(path).startswith(allowed) or not roots & TENSORFLOW, f"{path} imports {roots & TENSORFLOW}"


def test_init_files_hold_a_docstring_and_no_code():
    for path in (path for path in modules() if path.name == "__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert [type(node) for node in body] == [ast.Expr], path


@pytest.mark.parametrize("package", ["geods", "model"])
def test_libraries_never_read_flags(package):
    readers = [path for path in modules() if module_name(path).startswith(package) and "FLAGS" in path.read_text()]
    assert [module_name(path) for path in readers] == (
        ["geods.cli.flags", "geods.cli.program"] if package == "geods" else []
    )

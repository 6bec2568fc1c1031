"""Imports go down only: the table here is the architecture."""

import ast
import pathlib

import pytest

REPO = pathlib.Path(__file__).parent.parent
PACKAGES = ("geods", "model", "trainers", "tools")

# Inside geods, a module may import those of lower levels only.
GEODS_LEVELS = [
    {"errors", "installed"},
    {
        "disk",
        "flag_mistakes",
        "geometry",
        "headroom",
        "heap",
        "jpeg_claims",
        "licences",
        "outline",
        "sorted_rows",
        "texts",
    },
    {"files"},
    {"locks"},
    {"mirror"},
    {
        "beam_worker",
        "cli",
        "downloads",
        "images",
        "manifests",
        "polygons",
        "seals",
        "vector_files",
    },
    {"bad_images", "beam_jobs", "boundary", "dataset_files", "geojson"},
    {"partition", "tfrecords"},
    {"fishnet", "splits", "tree"},
    {"places"},
    {"chosen", "columns"},
    {"beam_checks", "fact_table"},
    {"imagery", "quadtree", "survey", "tree_layouts"},
    {"named_images", "photos", "scraping", "simulation", "split_lists", "tree_copies"},
    {"recorded", "scrape", "sources"},
    {"examples", "plans", "records", "tree_report"},
    {"buffers", "build_places", "data_service", "datasets", "decoding", "gpu_jpegs", "shards"},
    {"geods_dataset_builder", "jpeg_threads", "pipeline"},
    {"encoded_views"},
    {"loader"},
]
MAY_IMPORT = {
    "geods": {"geods"},
    "model": {"model", "geods"},
    "trainers": {"trainers", "model", "geods"},
    "tools": {"trainers", "model", "geods"},
}
MODEL_MAY_USE_OF_GEODS = {"geods.errors", "geods.files", "geods.geometry"}
TENSORFLOW = {"tensorflow", "tensorflow_datasets"}
GEODS_WITH_TENSORFLOW = {
    *(
        "geods.shards",
        "geods.data_service",
        "geods.datasets",
        "geods.decoding",
        "geods.encoded_views",
        "geods.examples",
        "geods.geods_dataset_builder",
    ),
    *("geods.gpu_jpegs", "geods.loader", "geods.pipeline", "geods.records"),
}


def modules() -> list[pathlib.Path]:
    return [path for package in PACKAGES for path in sorted((REPO / package).rglob("*.py"))]


def module_name(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: pathlib.Path) -> set[str]:
    """Names of all modules a file imports, at its top and inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from geods import tree` imports geods.tree; `from geods.imagery import simulated` likewise.
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(name: str) -> bool:
    return name.split(".")[0] in PACKAGES


def level_of(name: str) -> int:
    part = name.split(".")[1]
    levels = [number for number, names in enumerate(GEODS_LEVELS) if part in names]
    assert levels, f"geods.{part} has no level: give it one in GEODS_LEVELS"
    return levels[0]


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_packages_import_downwards(path):
    package = module_name(path).split(".")[0]
    for name in filter(ours, imports_of(path)):
        assert name.split(".")[0] in MAY_IMPORT[package], f"{path} imports {name}"
        if package == "model" and name.startswith("geods"):
            assert ".".join(name.split(".")[:2]) in MODEL_MAY_USE_OF_GEODS, f"{path} imports {name}"


@pytest.mark.parametrize(
    "path", [path for path in modules() if module_name(path).startswith("geods.")], ids=module_name
)
def test_modules_of_geods_import_downwards(path):
    me = module_name(path)
    for name in filter(ours, imports_of(path)):
        mine, theirs = me.split(".")[1], name.split(".")[1]
        if mine != theirs:
            assert level_of(name) < level_of(me), f"{me} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_tensorflow_is_imported_only_where_it_must_be(path):
    name = module_name(path)
    if name.split(".")[0] == "trainers" or name in GEODS_WITH_TENSORFLOW:
        return
    roots = {imported.split(".")[0] for imported in imports_of(path)}
    assert not roots & TENSORFLOW, f"{name} imports {roots & TENSORFLOW}"


@pytest.mark.parametrize("path", [path for path in modules() if path.name == "__init__.py"], ids=module_name)
def test_init_files_hold_a_docstring_and_no_code(path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


@pytest.mark.parametrize("package", ["geods", "model"])
def test_libraries_never_read_flags(package):
    readers = [path for path in modules() if module_name(path).startswith(package) and "FLAGS" in path.read_text()]
    assert [module_name(path) for path in readers] == (["geods.cli"] if package == "geods" else [])

"""The same tree gives the same bytes."""

import os
import pathlib
import shutil
import subprocess
import sys

import test_geods_dataset_builder as building

from geods import files, manifests

REPO = pathlib.Path(__file__).parent.parent


def build_in_a_process(root: pathlib.Path, data_dir: pathlib.Path, hash_seed: int) -> None:
    """Builds by the real command, with another hash seed."""
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", "geods", "--config=blocked"]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [*command, f"--manual_dir={root}", f"--data_dir={data_dir}"]
    subprocess.run(words, cwd=REPO, env=environment, capture_output=True, check=True)


def copy_backwards(root: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Copies a tree file by file in the opposite order, which changes how a file system lists it."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_file():
            copy = target / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return target


def hashes(data_dir: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    paths = (path for path in sorted(data_dir.rglob("*")) if path.is_file())
    return {path.relative_to(data_dir).as_posix(): files.sha256_of_file(path) for path in paths}


def test_every_file_is_the_same_whatever_the_listing_the_path_the_hash_seed_and_the_process(tmp_path, monkeypatch):
    root = building.make_tree(tmp_path / "a" / "tree")
    copy = copy_backwards(root, tmp_path / "b" / "another name")
    build_in_a_process(copy, tmp_path / "second", 2)
    listed = pathlib.Path.iterdir
    monkeypatch.setattr(pathlib.Path, "iterdir", lambda path: iter(sorted(listed(path), reverse=True)))
    building.build(root, tmp_path / "first")
    first, second = hashes(tmp_path / "first"), hashes(tmp_path / "second")
    assert first == second
    folder = "geods/blocked/1.0.0/"
    assert {name.removeprefix(folder).split(".")[0] for name in first if name.startswith(folder)} == {
        *("cell", "dataset_info", "features", "geods-test", "geods-train", "geods-validation"),
        *("images", "metadata", "seal"),
    }
    listed_images = manifests.read(tmp_path / "first" / folder / manifests.NAME)
    assert listed_images == {name: digest for name, digest in hashes(root).items() if name.endswith(".jpg")}


def test_the_list_of_images_is_one_that_sha256sum_checks(tmp_path):
    root = building.make_tree(tmp_path / "tree", 5)
    odd = {"a\\b.jpg": b"1", "c\nd.jpg": b"2"}
    for name, content in odd.items():
        (root / name).write_bytes(content)
    wanted = {name: digest for name, digest in hashes(root).items() if name.endswith(".jpg")}
    manifests.write(tmp_path / "list", wanted)
    assert manifests.read(tmp_path / "list") == wanted
    done = subprocess.run(["sha256sum", "--check", "--quiet", tmp_path / "list"], cwd=root, check=False)
    assert done.returncode == 0

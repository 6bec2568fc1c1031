"""Datasets built again, of copies and in other processes, with file hashes."""

import os
import pathlib
import shutil
import subprocess
import sys

import checkout

from geods.storage import files


def build_in_a_process(root: pathlib.Path, data_dir: pathlib.Path, hash_seed: int) -> None:
    """Builds by the real command, with another hash seed."""
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", "geods", "--config=blocked"]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [*command, f"--manual_dir={root}", f"--data_dir={data_dir}"]
    subprocess.run(words, cwd=checkout.REPO, env=environment, capture_output=True, check=True)


def copy_backwards(root: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Copies a tree in reverse order, which changes how the file system lists it."""
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

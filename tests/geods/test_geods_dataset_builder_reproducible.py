"""The same tree gives the same bytes."""

import pathlib
import subprocess

import drawn_datasets

from geods.storage import checksums


def test_every_file_is_the_same_whatever_the_listing_the_path_the_hash_seed_and_the_process(tmp_path, monkeypatch):
    root = drawn_datasets.make_tree(tmp_path / "a" / "tree")
    copy = drawn_datasets.copy_backwards(root, tmp_path / "b" / "another name")
    drawn_datasets.build_in_a_process(copy, tmp_path / "second", 2)
    listed = pathlib.Path.iterdir
    monkeypatch.setattr(pathlib.Path, "iterdir", lambda path: iter(sorted(listed(path), reverse=True)))
    drawn_datasets.build(root, tmp_path / "first")
    first, second = drawn_datasets.hashes(tmp_path / "first"), drawn_datasets.hashes(tmp_path / "second")
    assert first == second
    folder = "geods/blocked/1.0.0/"
    assert {name.removeprefix(folder).split(".")[0] for name in first if name.startswith(folder)} == {
        *("cell", "dataset_info", "features", "geods-test", "geods-train", "geods-validation"),
        *("images", "metadata", "seal"),
    }
    listed_images = checksums.read(tmp_path / "first" / folder / checksums.NAME)
    assert listed_images == {
        name: digest for name, digest in drawn_datasets.hashes(root).items() if name.endswith(".jpg")
    }


def test_the_list_of_images_is_one_that_sha256sum_checks(tmp_path):
    root = drawn_datasets.make_tree(tmp_path / "tree", 5)
    odd = {"a\\b.jpg": b"1", "c\nd.jpg": b"2"}
    for name, content in odd.items():
        (root / name).write_bytes(content)
    wanted = {name: digest for name, digest in drawn_datasets.hashes(root).items() if name.endswith(".jpg")}
    checksums.write(tmp_path / "list", wanted)
    assert checksums.read(tmp_path / "list") == wanted
    done = subprocess.run(["sha256sum", "--check", "--quiet", tmp_path / "list"], cwd=root, check=False)
    assert done.returncode == 0

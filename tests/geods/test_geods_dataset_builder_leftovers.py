"""A build leaves only its dataset, and removes leftovers of killed ones."""

import tempfile

import drawn_datasets

from geods import errors
from geods.storage import locks


def test_what_killed_builds_left_is_removed_but_not_what_others_write(tmp_path):
    root, data = drawn_datasets.make_tree(tmp_path / "tree", 10), tmp_path / "data"
    config = data / "geods" / ".config"
    config.mkdir(parents=True)
    torn = (data / "geods" / "random" / "incomplete.ABC_1.0.0", config / "incomplete.0123.metadata.json")
    torn[0].mkdir(parents=True)
    torn[1].touch()
    with locks.folder(data / "geods" / "blocked", errors.DatasetError, "", data / ".geods-blocked.lock"):
        drawn_datasets.build(root, data, "random")
    assert [path.exists() for path in torn] == [False, True]
    drawn_datasets.build(root, data, "report")
    assert not torn[1].exists()


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    drawn_datasets.build(drawn_datasets.make_tree(tmp_path / "tree", 10), tmp_path / "data", "random")
    assert not list((tmp_path / "temporary").iterdir())

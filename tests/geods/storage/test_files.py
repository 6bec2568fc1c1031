"""Whole or absent, also when the writer is killed."""

import json
import signal
import subprocess
import sys

import checkout
import pytest

from geods import errors
from geods.storage import files


def test_write_makes_folders_and_leaves_no_temporary_file(tmp_path):
    files.write_text(tmp_path / "a" / "b.txt", "grüße")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "grüße"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_temporary_path_keeps_the_suffix_writers_choose_formats_by(tmp_path):
    with files.atomic_path(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        assert temporary.parent == tmp_path


def test_failed_write_keeps_the_old_file(tmp_path):
    target = tmp_path / "kept.json"
    files.write_json(target, {"old": 1})
    with pytest.raises(TypeError, match="bytes-like"):
        files.write_bytes(target, "text")  # the writing itself fails, inside the block
    assert json.loads(target.read_text()) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


def test_kill_during_write_keeps_the_old_file(tmp_path):
    target = tmp_path / "kept.bin"
    files.write_bytes(target, b"old")
    code = (
        "import os, signal, sys\n"
        "from geods.storage import files\n"
        f"with files.atomic_path({str(target)!r}) as temporary:\n"
        "    temporary.write_bytes(b'new' * 1000)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout.REPO, check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"


def test_published_files_follow_the_umask(tmp_path):
    files.write_bytes(tmp_path / "file", b"")
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "file").stat().st_mode == plain.stat().st_mode


def test_sha256_is_that_of_the_standard(tmp_path):
    # FIPS 180-2, appendix B.1.
    files.write_bytes(tmp_path / "abc", b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256_of_file(tmp_path / "abc") == expected


def test_required_paths_are_named_when_they_are_not_there(tmp_path):
    with pytest.raises(errors.MissingFileError, match=r"missing: does not exist\.\nNext: make it"):
        files.check_file(tmp_path / "missing", "make it")
    with pytest.raises(errors.MissingFileError, match="is a folder, not a file"):
        files.check_file(tmp_path, "name a file")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        files.check_folder(tmp_path / "missing", "make it")
    (tmp_path / "file").touch()
    with pytest.raises(errors.MissingFileError, match="is a file, not a folder"):
        files.check_folder(tmp_path / "file", "name a folder")
    assert files.check_folder(tmp_path, "") == tmp_path
    assert files.check_file(tmp_path / "file", "") == tmp_path / "file"


def test_a_sweep_takes_what_killed_writers_left_and_nothing_else(tmp_path):
    kept = {".scrape.lock", "a.tmp.csv", ".notes.tmp", ".journal.sqlite.kept", "below"}
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".a.0123abcd.tmp.csv").touch()
    for name in kept - {"below"}:
        (tmp_path / name).touch()
    with files.atomic_path(tmp_path / "table.csv") as temporary:
        temporary.touch()
    (tmp_path / "table.csv").unlink()
    # The name of a real one, which a kill leaves.
    temporary.touch()
    (tmp_path / ".no suffix.0123abcd.tmp").touch()
    files.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert (tmp_path / "below" / ".a.0123abcd.tmp.csv").exists()

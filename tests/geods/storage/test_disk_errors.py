"""Full and read-only disks: the error names file and bytes; old files stay."""

import contextlib
import errno
import re
import resource

import pytest
import writers

from geods import errors
from geods.storage import disk_errors, files, locks


@contextlib.contextmanager
def files_no_larger_than(size_bytes):
    """A quota on the size of files, which the kernel also holds root to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", writers.WRITERS)
def test_what_does_not_fit_is_named_with_its_bytes_and_leaves_what_was_there(tmp_path, name):
    write = writers.WRITERS[name]
    old = write(tmp_path, 1)
    content, before = old.read_bytes(), {path.name for path in tmp_path.rglob("*")}
    with (
        files_no_larger_than(len(content) + 500),
        pytest.raises(errors.GeodsError, match=r"[\d,]+ bytes are needed, [\d,]+ are free") as told,
    ):
        write(tmp_path, 8)
    assert str(old) in told.value.problem
    assert told.value.next_step
    assert old.read_bytes() == content
    assert {path.name for path in tmp_path.rglob("*")} - before <= {"index.json"}
    assert len(write(tmp_path, 8).read_bytes()) > len(content)


def test_work_whose_result_would_not_fit_is_not_begun(tmp_path):
    disk_errors.check_room(tmp_path / "not" / "there", 1)
    with pytest.raises(
        errors.DiskFullError, match=r"1,000,000,000,000,000 bytes are needed, [\d,]+ are free.*\nNext: make"
    ):
        disk_errors.check_room(tmp_path / "not" / "there", 10**15)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_what_must_not_be_written_is_named(tmp_path, number):
    refusal = disk_errors.as_disk_error(tmp_path, OSError(number, "no"))
    assert isinstance(refusal, errors.UnwritableError)
    assert (refusal.errno, refusal.filename) == (number, str(tmp_path))
    assert re.match(rf"{tmp_path}: cannot be written \(.*\)\.\nNext: make it writable", str(refusal))


@pytest.mark.parametrize(
    "said",
    [
        "[Errno 28] Can't write data: No space left on device",
        "9000 requested and 8192 written",
        "database or disk is full",
    ],
)
def test_libraries_that_give_no_number_are_understood(tmp_path, said):
    refusal = disk_errors.as_disk_error(tmp_path / "a", RuntimeError(said), size_bytes=9000)
    assert isinstance(refusal, errors.DiskFullError)
    assert re.search(
        r"a: cannot be written \(No space left on device; 9,000 bytes are needed, [\d,]+ are free\)", str(refusal)
    )


def test_other_errors_are_not_the_disks(tmp_path):
    assert disk_errors.as_disk_error(tmp_path / "a", ValueError("wrong")) is None
    assert disk_errors.as_disk_error(tmp_path / "a", PermissionError(errno.EACCES, "no", "/elsewhere/read")) is None
    assert (
        disk_errors.as_disk_error(tmp_path / "a", PermissionError(errno.EACCES, "no", str(tmp_path / ".a.tmp")))
        is not None
    )


def test_a_folder_that_is_no_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.UnwritableError, match="file/a: cannot be written"):
        files.write_text(tmp_path / "file" / "a", "")
    with pytest.raises(OSError, match="file"), locks.folder(tmp_path / "file", errors.RunError, ""):
        pass

"""Whole JPEGs and others."""

import contextlib
import hashlib
import io

import checkout
import drawn_trees
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from geods import errors
from geods.tree import jpeg
from trainers.plots import thumbnails

GOOD = drawn_trees.jpeg(1, 120, 200)


def with_size(content: bytes, height_px: int, width_px: int) -> bytes:
    """Returns a JPEG whose header claims another size."""
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + height_px.to_bytes(2, "big") + width_px.to_bytes(2, "big") + content[at + 4 :]


def test_size_is_height_then_width():
    assert jpeg.check_jpeg(GOOD, "a.jpg") == (120, 200)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_pass(mode):
    content = drawn_trees.encoded(Image.new(mode, (32, 24)), "JPEG")
    assert jpeg.check_jpeg(content, "a.jpg") == (24, 32)


def test_progressive_jpeg_and_trailing_bytes_pass():
    buffer = io.BytesIO()
    Image.open(io.BytesIO(GOOD)).save(buffer, "JPEG", progressive=True)
    assert jpeg.check_jpeg(buffer.getvalue() + b"\0" * 1000, "a.jpg") == (120, 200)


def header(marker: int, bits: int = 8) -> bytes:
    """Start of a JPEG up to its frame header, without data for any decoder."""
    size = b"\x00\x10\x00\x10\x03" + b"\0" * 9
    return b"\xff\xd8\xff\xe0\x00\x04\xff\xc3\xff" + bytes([0xFF, marker, 0, 17, bits]) + size


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE])
def test_other_processes_are_refused_by_their_frame_marker(tmp_path, marker):
    with pytest.raises(errors.ImageError, match=rf"a\.jpg: is a \w+ JPEG \(marker FF{marker:02X}\)"):
        jpeg.check_jpeg(header(marker), "a.jpg")
    (tmp_path / "a.jpg").write_bytes(header(marker))
    assert f"(marker FF{marker:02X})" in jpeg.check_file(tmp_path / "a.jpg").problem
    # Pages that show images keep them from their decoder as well.
    with pytest.raises(errors.ImageError, match=f"marker FF{marker:02X}"):
        thumbnails.data_url(thumbnails.View(header(marker), "a.jpg", None, ""))


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC9, 0xCA])
def test_samples_of_12_bits_are_refused_and_of_8_pass(marker):
    jpeg.check_process(header(marker), "a.jpg")
    with pytest.raises(errors.ImageError, match=r"is a JPEG of 12 bits a sample"):
        jpeg.check_jpeg(header(marker, 12), "a.jpg")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\n <!DOCTYPE html><title>403 Forbidden</title>", "is a web page"),
        (b"\xef\xbb\xbf<html>", "is a web page"),
        (b'{"error_message": "denied"}', "is JSON text"),
        (drawn_trees.png(), "is a PNG, not a JPEG"),
        (drawn_trees.encoded(Image.new("RGB", (9, 9)), "WEBP"), "is a WebP"),
        (drawn_trees.encoded(Image.new("RGB", (9, 9)), "GIF"), "is a GIF"),
        (drawn_trees.encoded(Image.new("RGB", (9, 9)), "TIFF"), "is a TIFF"),
        (b"\x01\x02\x03\x04\x05", r"is not a JPEG \(it starts with the bytes 01 02 03 04\)"),
        (GOOD[: len(GOOD) // 2], "is truncated"),
        (GOOD[:-20], "is truncated"),
        (b"\xff\xd8\xff", "is a damaged JPEG|is truncated"),
        (with_size(GOOD, 0, 200), "is a damaged JPEG"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_image_is_refused_with_name_and_cause(content, cause):
    with pytest.raises(errors.ImageError, match=rf"^90_2012-05\.jpg: ({cause})"):
        jpeg.check_jpeg(content, "90_2012-05.jpg")


def test_large_header_is_refused_before_memory_is_taken():
    bomb = with_size(GOOD, 13_000, 13_000)
    with pytest.raises(errors.ImageError, match="claims 13000 x 13000 pixels; at most 64,000,000 are read"):
        jpeg.check_jpeg(bomb, "a.jpg")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_refused_or_decodes_but_raises_nothing_else(data):
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    with contextlib.suppress(errors.ImageError):
        height_px, width_px = jpeg.check_jpeg(bytes(content[:cut]), "a.jpg")
        assert 0 < height_px * width_px <= jpeg.MAX_PIXELS


def test_files_are_checked_in_order_with_their_hashes(tmp_path):
    paths = []
    for number in range(20):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(drawn_trees.jpeg(number, 8 + number, 16))
    paths[3].write_bytes(b"")
    facts = jpeg.check_files(paths)
    assert [fact.path for fact in facts] == paths
    assert [fact.height_px for fact in facts] == [0 if n == 3 else 8 + n for n in range(20)]
    assert facts[5].sha256 == hashlib.sha256(paths[5].read_bytes()).hexdigest()
    assert facts[5].size_bytes == paths[5].stat().st_size
    assert [fact.problem for fact in facts if fact.problem] == ["is empty (0 bytes)"]
    assert jpeg.check_files([]) == []


def test_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(errors.MissingFileError, match=r"gone\.jpg: cannot be read \(No such file"):
        jpeg.check_files([tmp_path / "gone.jpg"])


def test_refusal_names_the_first_bad_images_and_counts_all(tmp_path):
    paths = [tmp_path / "0" / f"{number}.jpg" for number in range(9)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        path.write_bytes(GOOD if number < 2 else b"<html>")
    facts = jpeg.check_files(paths)
    with pytest.raises(errors.ImageError, match=r"7 of 9 images cannot be used:\n  0/2\.jpg: is a web page") as caught:
        jpeg.check_facts(facts, tmp_path, "delete them")
    lines = str(caught.value).splitlines()
    assert lines[-2:] == ["  and 2 more", "Next: delete them"]
    assert len(lines) == 8
    jpeg.check_facts(facts[:2], tmp_path, "")


def test_real_photographs_pass():
    folder = checkout.SHARED / "data" / "report_samples" / "combined_files"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    facts = jpeg.check_files(sorted(folder.glob("*.jpg")))
    assert {(fact.height_px, fact.width_px, fact.problem) for fact in facts} == {(300, 600, "")}

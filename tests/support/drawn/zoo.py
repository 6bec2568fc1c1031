"""Image files of every kind: odd but good, bad but plausible, and traps.

`ANIMALS` maps a name to (content, why it is refused as a regular expression, or None if it is a good image). Drawn when
a test asks for them; nothing is kept.
"""

import functools
import io
import pathlib
import subprocess
import sys
import zlib

import drawn_photos
import numpy as np
from checkout import REPO
from PIL import Image, features

HTML = b"<!DOCTYPE html><html><head><title>403 Forbidden</title></head><body>denied</body></html>"
JSON = b'{"error_message": "The provided API key is invalid.", "status": "REQUEST_DENIED"}'


def picture(height_px: int = 240, width_px: int = 320) -> Image.Image:
    """A picture with soft shapes and some noise, so that its lower part is not empty."""
    rng = np.random.default_rng(5)
    soft = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width_px, height_px))
    noisy = np.asarray(soft) + rng.normal(0, 4, (height_px, width_px, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_size(content: bytes, height_px: int, width_px: int) -> bytes:
    """A JPEG whose header claims another size."""
    frame = content.index(b"\xff\xc0" if b"\xff\xc0" in content else b"\xff\xc2") + 5
    return content[:frame] + height_px.to_bytes(2, "big") + width_px.to_bytes(2, "big") + content[frame + 4 :]


def without_middle(content: bytes) -> bytes:
    """A JPEG with a third of its scan lost and its end kept."""
    scan = content.index(b"\xff\xda") + 100
    length = (len(content) - scan) // 3
    return content[:scan] + content[scan + length :]


def flipped(content: bytes) -> bytes:
    """A JPEG with one bit of its scan flipped."""
    at = (content.index(b"\xff\xda") + len(content)) // 2
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def png_bomb(side_px: int) -> bytes:
    """A PNG of so many black pixels a side, a hundred kilobytes or so."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    packer = zlib.compressobj(9)
    row = bytes(1 + side_px // 8)
    rows = b"".join(packer.compress(row) for _ in range(side_px)) + packer.flush()
    header = side_px.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def many_scans(content: bytes, count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    start, end = content.rindex(b"\xff\xda"), content.rindex(b"\xff\xd9")
    return content[:end] + content[start:end] * count + content[end:]


@functools.cache
def bombs() -> dict[str, tuple[bytes, str]]:
    """Small files that claim to be large, with the message each must get."""
    small = encoded(picture(24, 32), "JPEG")
    progressive = encoded(picture(), "JPEG", progressive=True)
    too_many = "claims .* pixels; at most 64,000,000 are read"
    for_its_bytes = "claims .* pixels, too many for [0-9,]+ bytes"
    return {
        "header of 30,000 squared": (with_size(small, 30_000, 30_000), too_many),
        "header of 65,500 squared": (with_size(small, 65_500, 65_500), f"{too_many}|is a damaged JPEG"),
        "header of 13,000 squared": (with_size(small, 13_000, 13_000), too_many),
        "header of 8,000 squared": (with_size(small, 8_000, 8_000), for_its_bytes),
        "header of 8,000 squared and 200 kB": (with_size(small, 8_000, 8_000) + bytes(200_000), for_its_bytes),
        "progressive header of 3,500 squared": (with_size(progressive, 3_500, 3_500), for_its_bytes),
        "header of 2,400 squared": (
            with_size(small, 2_400, 2_400),
            "holds no data for its lower part",
        ),
        "2,000 scans": (many_scans(progressive, 2_000), r"it has 2,0\d\d scans; at most 100"),
        "PNG of 30,000 squared": (png_bomb(30_000), "is a PNG"),
        "PNG of 13,000 squared": (png_bomb(13_000), "is a PNG"),
    }


def peak_rise_mb(folder: pathlib.Path) -> tuple[float, int]:
    """Checks all bombs in a small process; returns peak memory rise and refusals."""
    for number, (content, _) in enumerate(bombs().values()):
        (folder / f"bomb{number}.jpg").write_bytes(content)
    (folder / "warm.jpg").write_bytes(encoded(picture(24, 32), "JPEG"))
    code = (
        "import pathlib, sys\n"
        "from geods.tree import jpeg\n"
        # Not getrusage: its peak begins with that of the process that started this one.
        "def peak_mb(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "jpeg.check_files([folder / 'warm.jpg'])\n"
        "before = peak_mb()\n"
        "facts = jpeg.check_files(sorted(folder.glob('bomb*.jpg')))\n"
        "print(peak_mb() - before, sum(bool(fact.problem) for fact in facts))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=REPO, capture_output=True, text=True, check=True)
    rise_mb, refused = done.stdout.split()
    return float(rise_mb), int(refused)


@functools.cache
def animals() -> dict[str, tuple[bytes, str | None]]:
    """All of them."""
    good = encoded(picture(), "JPEG")
    grey, rgba = picture().convert("L"), picture().convert("RGBA")
    frames = [picture(24, 32), picture(24, 32).rotate(90)]
    turned = Image.Exif()
    turned[0x0112] = 6
    avif = encoded(picture(24, 32), "AVIF") if features.check("avif") else drawn_photos.AVIF
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    zoo: dict[str, tuple[bytes, str | None]] = {
        "truncated to 10 %": (good[: len(good) // 10], "is truncated|is a damaged JPEG"),
        "truncated to half": (good[: len(good) // 2], "is truncated"),
        "last 20 bytes missing": (good[:-20], "is truncated"),
        "last 2 bytes missing": (good[:-2], "is truncated"),
        "taller in the header than in the scan": (with_size(good, 400, 320), "holds no data for its lower part"),
        "a third of the scan lost": (without_middle(good), "holds no data for its lower part"),
        "grey, a third of the scan lost": (without_middle(encoded(grey, "JPEG")), "holds no data for its lower part"),
        "one bit flipped": (flipped(good), None),
        "empty": (b"", r"is empty \(0 bytes\)"),
        "1 byte": (good[:1], "is not a JPEG"),
        "2 bytes": (good[:2], "is not a JPEG"),
        "3 bytes": (good[:3], "is a damaged JPEG|is truncated"),
        "nulls": (bytes(4096), "is not a JPEG"),
        "a page that says 403": (HTML, "is a web page"),
        "an error in JSON": (JSON, "is JSON text"),
        "PNG": (encoded(picture(), "PNG"), "is a PNG, not a JPEG"),
        "PNG of 16 bits": (encoded(deep, "PNG"), "is a PNG, not a JPEG"),
        "PNG with a palette": (encoded(picture().convert("P"), "PNG"), "is a PNG, not a JPEG"),
        "PNG with transparency": (encoded(rgba, "PNG"), "is a PNG, not a JPEG"),
        "GIF": (encoded(frames[0], "GIF"), "is a GIF, not a JPEG"),
        "animated GIF": (encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "is a GIF, not a JPEG"),
        "BMP": (encoded(picture(), "BMP"), "is a BMP, not a JPEG"),
        "WebP": (encoded(picture(), "WEBP"), "is a WebP, not a JPEG"),
        "TIFF": (encoded(picture(), "TIFF"), "is a TIFF, not a JPEG"),
        "AVIF": (avif, "is an AVIF, not a JPEG"),
        "CMYK": (encoded(picture().convert("CMYK"), "JPEG"), None),
        "grey": (encoded(grey, "JPEG"), None),
        "the grey of missing data": (encoded(Image.new("RGB", (320, 240), (128, 128, 128)), "JPEG"), None),
        "progressive": (encoded(picture(), "JPEG", progressive=True), None),
        "garbage behind the end": (good + np.random.default_rng(0).bytes(1024), None),
        "two in one file": (good + encoded(picture(120, 160), "JPEG"), None),
        "turned by EXIF": (encoded(picture(), "JPEG", exif=turned), None),
        "no pixels": (with_size(good, 0, 0), "is a damaged JPEG"),
        "a pickle": (b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08os.system\x94.", "is not a JPEG"),
    }
    return zoo | bombs()

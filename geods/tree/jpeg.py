"""Whole JPEGs only: one check that opens, limits and fully decodes an image.

A decoder is not an integrity check: a flipped bit in the scan decodes to wrong pixels without an error. Refused here is
what cannot be decoded, or what decoders disagree on; later damage shows in the SHA-256 that is kept.

Every bit of a file is decoded, but only the mean of each 8 x 8 block is made of it, which is all that an error needs to
show: libjpeg reads the same codes for a picture of an eighth of the size, and a file that claims much costs little.

The header is judged by the bytes of the file before any pixel is decoded: a file of 1.4 kB can claim 13,000 x 13,000
pixels, for which Pillow and TensorFlow allocate 507 MB without a warning; a progressive one can also ask for thousands
of passes over them.
"""

import collections
import concurrent.futures
import dataclasses
import hashlib
import io
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Sequence

import tqdm
from PIL import Image, JpegImagePlugin

from geods import errors
from geods.tree import imagery_tree, orientation, panorama

_JPEG_MAGIC, _END_OF_IMAGE = b"\xff\xd8\xff", b"\xff\xd9"
# What libjpeg shows, in grey and in colour, where a scan has no more codes, and codes to put there without any marker.
_NO_DATA, _MORE_DATA = (128, (128, 128, 128)), bytes(range(1, 255)) * 4
_OTHER_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "a PNG"),
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"{", "JSON text, perhaps the answer to a refused request"),
    (b"<", "a web page (HTML or XML), perhaps the answer to a refused request"),
)
# ISO base media files say their kind in bytes 8 to 12, after the word ftyp (ISO/IEC 14496-12, section 4.3).
AVIF_BRANDS, HEIC_BRANDS = (b"avif", b"avis"), (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MEDIA_KINDS = dict.fromkeys(AVIF_BRANDS, "an AVIF") | dict.fromkeys(HEIC_BRANDS, "a HEIC")
_MEDIA_KINDS[b"crx "] = "a Canon raw file"
# Frames of Huffman baseline, extended and progressive JPEGs and of arithmetic ones; then of all other processes.
_FRAMES, _SAMPLE_BITS, _END_OF_HEADERS = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA), 8, (0xD9, 0xDA)
_OTHER_FRAMES = dict.fromkeys((0xC3, 0xCB), "lossless") | {0xC8: "reserved"}
_OTHER_FRAMES |= dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE), "hierarchical")
_SHOWN, _KIND_BYTES = 5, 512
# Files in the hands of threads; one that waits takes 2 kB.
_AHEAD = 256


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """Facts from the check of one image file.

    Attributes:
        path: The file.
        sha256: SHA-256 of its bytes, in hexadecimal.
        size_bytes: Length of the file.
        height_px: Height, or 0 for a bad image.
        width_px: Width, or 0 for a bad image.
        problem: Why it cannot be used, without its name; empty for a good image.
        orientation: EXIF Orientation; its pixels are turned by it wherever a model sees them, its bytes are kept.
        is_panorama: Whether it is a sphere, or another panorama that is no view of one camera.
    """

    path: pathlib.Path
    sha256: str
    size_bytes: int
    height_px: int
    width_px: int
    problem: str = ""
    orientation: int = orientation.UPRIGHT
    is_panorama: bool = False

    @property
    def is_turned(self) -> bool:
        """Whether it is stored in another orientation than it is seen in."""
        return self.orientation != orientation.UPRIGHT

    def name_below(self, root: str | os.PathLike[str]) -> str:
        """Returns the path below a folder, with forward slashes on every system."""
        return name_below(os.fspath(self.path), root)


def name_below(file: str, root: str | os.PathLike[str]) -> str:
    """Returns a path below a folder, with forward slashes on every system."""
    folder = os.path.join(root, "")  # noqa: PTH118 - relpath takes 7 times as long
    below = file[len(folder) :] if file.startswith(folder) else os.path.relpath(file, root)
    return below.replace(os.sep, "/")


def check_jpeg(content: bytes, name: str) -> tuple[int, int]:
    """Decodes a JPEG to its last bit and returns its size.

    Args:
        content: The bytes of the file.
        name: How messages call it.

    Returns:
        (height_px, width_px)

    Raises:
        ImageError: If the bytes are not one whole JPEG, of a process that no decoder here reads, or claim too much.
    """
    image = open_guarded(content, name)
    width_px, height_px = image.size
    try:
        means = _block_means(image)
        # Only then can codes be missing before the end-of-image marker, of which Pillow and TensorFlow say nothing.
        lacking = means.getpixel((means.width - 1, means.height - 1)) in _NO_DATA and _lacks_data(content, means)
    except Exception as error:
        raise _damaged(name, error) from error
    if lacking:
        raise errors.ImageError(f"{name}: holds no data for its lower part.", "fetch it again or delete it")
    return height_px, width_px


def open_guarded(content: bytes, name: str) -> JpegImagePlugin.JpegImageFile:
    """Opens a JPEG that every decoder here may be given; its pixels are not decoded.

    Raises:
        ImageError: If it is none, of a process that no decoder here reads, or claims too much.
    """
    _check_kind(content, name)
    check_process(content, name)
    try:
        # Not Image.open: it would let other formats in, and warns of large images instead of refusing them.
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    except Exception as error:  # Pillow's parsers raise a dozen kinds on damaged headers
        raise _damaged(name, error) from error
    width_px, height_px = image.size
    if claim := problem_of(content, height_px, width_px, "progressive" in image.info):
        raise errors.ImageError(f"{name}: {claim}.", "make it smaller or delete it")
    return image


def check_kinds(paths: Iterable[pathlib.Path]) -> None:
    """Checks the first bytes of files before something slow starts.

    Raises:
        ImageError: If one is not a JPEG.
    """
    for path in paths:
        with open(path, "rb") as source:
            _check_kind(source.read(_KIND_BYTES), str(path))


def check_file(path: pathlib.Path) -> ImageFacts:
    """Reads and checks one file; a bad image is reported by `problem`, not raised.

    Raises:
        MissingFileError: If the file cannot be read.
    """
    try:
        # A pipe would keep the reader waiting forever.
        if not path.is_file() and os.path.lexists(path):
            return ImageFacts(path, "", 0, 0, 0, "is no file, but a folder, a pipe or a link to nothing")
        content = path.read_bytes()
    except OSError as error:
        raise errors.MissingFileError(f"{path}: cannot be read ({error.strerror}).", "check its permissions") from error
    digest = hashlib.sha256(content).hexdigest()
    try:
        height_px, width_px = check_jpeg(content, "")
    except errors.ImageError as error:
        problem = error.problem.removeprefix(": ").removesuffix(".")
        return ImageFacts(path, digest, len(content), 0, 0, problem)
    turn = orientation.orientation_of(content)
    is_panorama = panorama.sphere_of(content, height_px, width_px) is not None
    return ImageFacts(path, digest, len(content), height_px, width_px, "", turn, is_panorama)


def turned_line(count: int) -> list[str]:
    """Returns the line of a report on turned images; none where there are none."""
    return [f"stored turned (EXIF Orientation): {count:,}; models see them upright, bytes stay"] if count else []


def panorama_line(count: int) -> list[str]:
    """Returns the report's line on panoramas taken as flat views; none without any."""
    step = "python -m tools.import_images cuts views out of them"
    return [f"panoramas, each taken as one flat view: {count:,}; {step}"] if count else []


def check_files(paths: Sequence[pathlib.Path], description: str = "checking images") -> list[ImageFacts]:
    """Checks files in parallel, with a bar on stderr.

    Args:
        paths: Files to read.
        description: Text of the bar.

    Returns:
        One ImageFacts a path, in the order of `paths`.
    """
    return list(checked(paths, description))


def checked(
    paths: Iterable[pathlib.Path], description: str = "checking images", count: int | None = None
) -> Iterator[ImageFacts]:
    """Yields the results of `check_files` as they come, with few files in memory.

    Args:
        paths: Files to read.
        description: Text of the bar.
        count: Number of paths, for those that have no length.
    """
    total = len(paths) if isinstance(paths, Sequence) else count
    waiting: collections.deque[concurrent.futures.Future[ImageFacts]] = collections.deque()
    with (
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm.tqdm(desc=description, total=total, unit=" images", disable=total == 0) as bar,
    ):
        try:
            for path in paths:
                waiting.append(pool.submit(check_file, path))
                if len(waiting) > _AHEAD:
                    found = waiting.popleft().result()
                    bar.update()
                    yield found
            while waiting:
                found = waiting.popleft().result()
                # Before the last is handed out, after which nobody may ask again.
                bar.update()
                yield found
        finally:
            for future in waiting:
                future.cancel()


def check_facts(facts: Sequence[ImageFacts], root: str | os.PathLike[str], next_step: str) -> None:
    """Does nothing if all images are good.

    Args:
        facts: What `check_files` returned.
        root: Folder that the named paths are relative to.
        next_step: What the error tells the user to do.

    Raises:
        ImageError: Naming how many are bad and the first of them with their causes.
    """
    check_none_bad([fact for fact in facts if fact.problem], len(facts), root, next_step)


def check_none_bad(bad: Sequence[ImageFacts], count: int, root: str | os.PathLike[str], next_step: str) -> None:
    """Raises ImageError that lists the bad images of `count`, if there are any."""
    if not bad:
        return
    lines = [f"  {fact.name_below(root)}: {fact.problem}" for fact in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"  and {len(bad) - _SHOWN} more")
    share = f"{len(bad)} of {count} images cannot be used"
    raise errors.ImageError("\n".join([f"{root}: {share}:", *lines]), next_step)


def check_locations(locations: Sequence[imagery_tree.Location], facts: Iterable[ImageFacts] | None = None) -> None:
    """Checks the images of locations before they are decoded.

    Prints how many are turned, and how many are panoramas.

    Args:
        locations: Locations of a tree.
        facts: What the check of all their images found; they are checked here if not given.

    Raises:
        TreeError: If there is none.
        ImageError: If an image is not a whole JPEG.
    """
    if not locations:
        raise errors.TreeError("there is no location to read.", "name a folder that holds an imagery tree")
    count = sum(len(location.views) for location in locations)
    if facts is None:
        facts = checked((view.path for location in locations for view in location.views), count=count)
    bad, turned, panoramas = [], 0, 0
    for fact in facts:
        turned += fact.is_turned
        panoramas += fact.is_panorama
        if fact.problem:
            bad.append(fact)
    check_none_bad(bad, count, locations[0].views[0].path.parent, "replace or delete them")
    for line in turned_line(turned) + panorama_line(panoramas):
        print(line, file=sys.stderr)


def _block_means(image: JpegImagePlugin.JpegImageFile) -> Image.Image:
    """Decodes a JPEG to the means of its 8 x 8 blocks."""
    image.draft(None, (max(image.width // 8, 1), max(image.height // 8, 1)))
    image.load()
    return image


def _lacks_data(content: bytes, means: Image.Image) -> bool:
    """Returns whether a JPEG's scan ends before its last block.

    Then more codes before the end change the picture.
    """
    end = content.rfind(_END_OF_IMAGE)
    longer = content[:end] + _MORE_DATA + content[end:]
    return _block_means(JpegImagePlugin.JpegImageFile(io.BytesIO(longer))).tobytes() != means.tobytes()


def _check_kind(content: bytes, name: str) -> None:
    """Raises ImageError if a file that begins so is not a JPEG."""
    if not content.startswith(_JPEG_MAGIC):
        raise errors.ImageError(f"{name}: {_kind_of(content)}.", "replace it by a JPEG or delete it")


def _kind_of(content: bytes) -> str:
    """Returns the format of bytes that are no JPEG."""
    if not content:
        return "is empty (0 bytes)"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "is a WebP, not a JPEG"
    if content[4:8] == b"ftyp":
        return f"is {_MEDIA_KINDS.get(content[8:12], 'a film or other ISO media file')}, not a JPEG"
    text = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, kind in _OTHER_KINDS:
        if text.startswith(start):
            return f"is {kind}, not a JPEG"
    return f"is not a JPEG (it starts with the bytes {content[:4].hex(' ')})"


def check_process(content: bytes, name: str) -> None:
    """Raises for JPEG processes other than four, by the frame marker.

    Baseline, extended 8-bit, progressive and arithmetic pass.

    The others (lossless, hierarchical, 12-bit) end the process of some decoders, so that none may see them first.
    Markers: ITU-T T.81, table B.1.

    Raises:
        ImageError: If the frame, or the definition of a hierarchical progression, is of another process.
    """
    step = "convert it to a baseline JPEG or delete it"
    at = content.find(b"\xff", 2)
    while 0 <= at < len(content) - 4:
        marker = content[at + 1]
        if marker in _END_OF_HEADERS:
            return
        if marker in _OTHER_FRAMES:
            kind = _OTHER_FRAMES[marker]
            raise errors.ImageError(f"{name}: is a {kind} JPEG (marker FF{marker:02X}), which is not read.", step)
        if marker in _FRAMES and content[at + 4] != _SAMPLE_BITS:
            raise errors.ImageError(f"{name}: is a JPEG of {content[at + 4]} bits a sample; 8 are read.", step)
        # Fill bytes, and markers without a length.
        alone = marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8
        length = 0 if alone else 1 + int.from_bytes(content[at + 2 : at + 4], "big")
        at = content.find(b"\xff", at + 1 + length)


def _damaged(name: str, error: Exception) -> errors.ImageError:
    """Returns the error for a JPEG that Pillow cannot read."""
    cause = "is truncated" if "truncated" in str(error).lower() else f"is a damaged JPEG ({error})"
    return errors.ImageError(f"{name}: {cause}.", "fetch it again or delete it")


# As RGB 192 MB; camera photographs of 50 million pixels pass.
MAX_PIXELS = 64_000_000

# Up to here a picture may be as empty as it likes: TensorFlow decodes it in 18 MB.
_FREE_PIXELS = 6_000_000
# Above, it needs a byte for so many. Photographs have a byte for 1 to 20 pixels; a blank wall of 12 million pixels at
# quality 10 has one for 57, progressive at quality 75 one for 45. libjpeg keeps all coefficients of progressive ones, 3
# to 6 bytes a pixel, and so 200 kB of them must not claim more than 8 million.
_PIXELS_A_BYTE, _PROGRESSIVE_PIXELS_A_BYTE = 150, 40

# Encoders write at most 10 or so; each is a pass over all coefficients.
MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"


def problem_of(content: bytes, height_px: int, width_px: int, progressive: bool) -> str:
    """Says why a JPEG must not be decoded; empty if it may.

    Args:
        content: The whole file.
        height_px: Height its header claims.
        width_px: Width its header claims.
        progressive: Whether it is a progressive one.
    """
    pixels = height_px * width_px
    if pixels > MAX_PIXELS:
        return f"its header claims {width_px} x {height_px} pixels; at most {MAX_PIXELS:,} are read"
    a_byte = _PROGRESSIVE_PIXELS_A_BYTE if progressive else _PIXELS_A_BYTE
    if pixels > max(_FREE_PIXELS, a_byte * len(content)):
        return f"its header claims {width_px} x {height_px} pixels, too many for {len(content):,} bytes"
    # Inside a scan the marker cannot occur; thumbnails before it hold a few.
    if (scans := content.count(_START_OF_SCAN)) > MAX_SCANS:
        return f"it has {scans:,} scans; at most {MAX_SCANS} are read"
    return ""

"""Processor time of decoding photographs of many pixels, whole or scaled.

They are made of a tree's own images: one enlarged, or many side by side in their own size, which is sharper than a
camera is.
"""

import functools
import io
import itertools
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import tqdm
from PIL import Image

from geods.input import threaded_decoder
from tools.benchmarks import results

# A camera of 12 million pixels, a sphere of 16; height, width.
_SIZES_PX = ((3000, 4000), (2830, 5660))
_QUALITY = 90
_COLUMNS = (
    "photograph",
    "MB",
    "before, ms",
    "whole, ms",
    "scaled, ms",
    "share of before [least..most]",
    "Pillow's draft, ms",
    "mean difference",
)


def report(paths: Sequence[pathlib.Path], height_px: int, width_px: int, rounds: int, work: pathlib.Path) -> None:
    """Prints a table of photographs and appends lines of JSON to a file.

    Args:
        paths: Images of one size to make photographs of.
        height_px: Height they are resized to.
        width_px: Width they are resized to.
        rounds: Readings of each way, which take turns.
        work: Folder of the file, large.jsonl.
    """
    whole, scaled = (
        threaded_decoder.ThreadedDecoder(height_px, width_px, exact_pixels=exact, threads=1) for exact in (True, False)
    )
    others = [functools.partial(way, height_px=height_px, width_px=width_px) for way in (_before, _by_draft)]
    ways = (others[0], whole.decode_one, scaled.decode_one, others[1])
    rows, lines = [], []
    for (name, make), size_px in tqdm.tqdm([*itertools.product(_KINDS.items(), _SIZES_PX)], desc="photographs"):
        content = make(paths, *size_px)
        for way in ways:
            way(content)
        times_ms = [[_processor_ms(way, content) for way in ways] for _ in range(rounds)]
        least_ms = [min(column) for column in zip(*times_ms, strict=True)]
        shares = [part / before for before, _, part, _ in times_ms]
        difference = float(np.abs(whole.decode_one(content).astype(int) - scaled.decode_one(content)).mean())
        label = f"{size_px[1]}x{size_px[0]}, {name}"
        share = f"{least_ms[2] / least_ms[0]:.2f} [{min(shares):.2f}..{max(shares):.2f}]"
        cells = [f"{len(content) / 1e6:.1f}", *(f"{least:.1f}" for least in least_ms[:3]), share]
        rows.append([label, *cells, f"{least_ms[3]:.1f}", f"{difference:.2f}"])
        lines.append({"benchmark": "large", "photograph": label, "ms": times_ms, "difference": difference})
        lines[-1]["share"] = statistics.median(shares)
    print(results.table(_COLUMNS, rows))
    results.append(work / "large.jsonl", lines)


def _enlarged(paths: Sequence[pathlib.Path], height_px: int, width_px: int) -> bytes:
    with Image.open(paths[0]) as image:
        return _encoded(image.convert("RGB").resize((width_px, height_px), Image.Resampling.BICUBIC))


def _side_by_side(paths: Sequence[pathlib.Path], height_px: int, width_px: int) -> bytes:
    canvas, following = Image.new("RGB", (width_px, height_px)), itertools.cycle(paths)
    with Image.open(paths[0]) as first:
        corners = itertools.product(range(0, width_px, first.width), range(0, height_px, first.height))
    for corner in corners:
        with Image.open(next(following)) as image:
            canvas.paste(image, corner)
    return _encoded(canvas)


_KINDS = {"enlarged": _enlarged, "side by side": _side_by_side}


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _before(content: bytes, height_px: int, width_px: int) -> np.ndarray:
    """Decodes as geods did until commit 67929a6: whole, into new memory."""
    import simplejpeg

    from geods.input import tf_decoder

    pixels = simplejpeg.decode_jpeg(content)
    found: np.ndarray = tf_decoder.resize(pixels, height_px, width_px, *pixels.shape[:2]).numpy()
    return found


def _by_draft(content: bytes, height_px: int, width_px: int) -> np.ndarray:
    """Decodes as a data set of PyTorch that asks Pillow for a small picture."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft("RGB", (width_px, height_px))
        return np.asarray(image.convert("RGB").resize((width_px, height_px), Image.Resampling.BILINEAR))


def _processor_ms(way: Callable[[bytes], np.ndarray], content: bytes) -> float:
    started_s = time.process_time()
    way(content)
    return 1e3 * (time.process_time() - started_s)

"""Photographs of any kind as the JPEG views that a model is given.

    with tempfile.TemporaryDirectory() as folder:
        ready = prepared.prepare(locations, pathlib.Path(folder), skip_bad=True)
        ready.locations, ready.facts

PNG, WebP, AVIF and, where pillow-heif is installed, HEIC become JPEGs in the folder; so do views cut out of
panoramas. All other files are taken where they lie.
"""

import dataclasses
import importlib.util
import pathlib
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageOps, features

from geods import errors
from geods.imagery.photos import sphere_views
from geods.tree import imagery_tree, jpeg

_PILLOW_KINDS = {b"\x89PNG": ("PNG",), b"RIFF": ("WEBP",)}
_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Locations whose views are whole JPEGs.

    Attributes:
        locations: Those with at least one view.
        facts: Check of every view, in their order.
        left_out: Images that cannot be used, with the reasons.
        decoded: Images of other formats that were decoded.
        panoramas: Panoramas that views were cut from.
    """

    locations: list[imagery_tree.Location]
    facts: list[jpeg.ImageFacts]
    left_out: list[jpeg.ImageFacts]
    decoded: int
    panoramas: int

    def lines(self) -> list[str]:
        """Returns the lines of a report; none where every image is a flat JPEG."""
        lines = [f"images that cannot be used, left out: {len(self.left_out):,}"] if self.left_out else []
        lines += [f"  {fact.path}: {fact.problem}" for fact in self.left_out]
        lines += [f"decoded from PNG, WebP, AVIF or HEIC: {self.decoded:,}"] if self.decoded else []
        return lines + ([f"panoramas, views cut at four headings: {self.panoramas:,}"] if self.panoramas else [])


def prepare(locations: Sequence[imagery_tree.Location], folder: pathlib.Path, skip_bad: bool) -> Prepared:
    """Checks all images, decodes other formats and cuts panoramas.

    Args:
        locations: Locations of a tree, or images as locations of one view.
        folder: Empty folder for the JPEGs that are made; read until the prediction has ended.
        skip_bad: Whether images that cannot be used are left out, or end it.

    Raises:
        ImageError: If images cannot be used and are not to be left out, or none can.
        MissingFileError: If a file cannot be read.
    """
    maker = _Maker(folder)
    checks = iter(jpeg.checked([view.path for place in locations for view in place.views]))
    found, facts, bad = [], [], []
    for place in locations:
        views = []
        for view, check in zip(place.views, checks, strict=False):
            for path, fact in maker.views(check):
                if fact.problem:
                    bad.append(fact)
                else:
                    views.append(dataclasses.replace(view, path=path))
                    facts.append(fact)
        if views:
            found.append(dataclasses.replace(place, views=tuple(views)))
    if bad and not (skip_bad and found):
        count = sum(len(place.views) for place in locations)
        step = "replace or delete them, or give --on_bad_image=skip" if found else "replace or delete them"
        jpeg.check_none_bad(bad, count, bad[0].path.parent, step)
    return Prepared(found, facts, bad, maker.decoded, maker.panoramas)


class _Maker:
    """JPEGs made of what is none, or no flat view."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder, self._count = folder, 0
        self.decoded = self.panoramas = 0

    def views(self, fact: jpeg.ImageFacts) -> Iterator[tuple[pathlib.Path, jpeg.ImageFacts]]:
        """Yields the file and the check of each view of an image."""
        if fact.problem:
            made = self._decoded(fact.path) if fact.size_bytes else ""
            if isinstance(made, str):
                more = "; pip install pillow-heif decodes it" if "a HEIC" in fact.problem else ""
                yield fact.path, dataclasses.replace(fact, problem=made or fact.problem + more)
                return
            fact = jpeg.check_file(made)
            self.decoded += 1
        if fact.is_panorama and (cut := list(self._cut(fact))):
            self.panoramas += 1
            yield from ((path, jpeg.check_file(path)) for path in cut)
        else:
            yield fact.path, fact

    def _decoded(self, path: pathlib.Path) -> pathlib.Path | str:
        """Returns the JPEG of an image of another format, else its problem.

        The problem is empty where the format is none of those that are decoded.
        """
        with path.open("rb") as source:
            head = source.read(16)
        kinds = _PILLOW_KINDS.get(head[:4], ())
        if head[8:12] in jpeg.AVIF_BRANDS and features.check("avif"):
            kinds = ("AVIF",)
        elif head[8:12] in jpeg.HEIC_BRANDS and importlib.util.find_spec("pillow_heif"):
            import pillow_heif

            pillow_heif.register_heif_opener()
            kinds = ("HEIF",)
        if not kinds:
            return ""
        try:
            with warnings.catch_warnings():
                # Pillow warns of large images, which are refused below.
                warnings.simplefilter("ignore")
                image = Image.open(path, formats=kinds)
            with image:
                if image.width * image.height > jpeg.MAX_PIXELS:
                    claim = f"its header claims {image.width} x {image.height} pixels"
                    return f"{claim}; at most {jpeg.MAX_PIXELS:,} are read"
                upright = _to_rgb(ImageOps.exif_transpose(image))
        except Exception as error:  # Pillow's parsers raise a dozen kinds on damaged files
            return f"is a damaged {kinds[0]} ({errors.in_short(error)})"
        target = self._target()
        upright.save(target, "JPEG", quality=_QUALITY, subsampling=0)
        return target

    def _cut(self, fact: jpeg.ImageFacts) -> Iterator[pathlib.Path]:
        """Yields the files of views cut from a panorama."""
        for view in sphere_views.views_of(fact.path.read_bytes(), fact.height_px, fact.width_px):
            target = self._target()
            target.write_bytes(view)
            yield target

    def _target(self) -> pathlib.Path:
        """Returns a new file name."""
        self._count += 1
        return self._folder / f"{self._count}.jpg"


def _to_rgb(image: Image.Image) -> Image.Image:
    """Returns an image with 8 bits a channel."""
    if image.mode.startswith("I;16"):
        # Pillow 12.3 cuts 16 bits off at 255: nearly all becomes white.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")

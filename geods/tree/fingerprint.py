"""Fingerprint of an imagery tree, and duplicate images in it."""

import collections
import hashlib
import pathlib
from collections.abc import Iterable

from geods.storage import external_sort
from geods.tree import jpeg


def fingerprint(hashes: Iterable[tuple[str, str]]) -> str:
    """Returns one SHA-256 for all images of a tree, in hexadecimal.

    It is taken over the sorted lines "<path relative to the root> <SHA-256 of the bytes>".

    Args:
        hashes: Path below the tree and SHA-256 of each image, in any order.
    """
    return digest_of_sorted(f"{name} {sha256}\n" for name, sha256 in hashes)


def digest_of_sorted(lines: Iterable[str]) -> str:
    """Returns the SHA-256 of lines in sorted order, in hexadecimal."""
    digest = hashlib.sha256()
    for (line,) in external_sort.in_order((line,) for line in lines):
        digest.update(line.encode("utf-8"))
    return digest.hexdigest()


def duplicates(facts: Iterable[jpeg.ImageFacts]) -> list[list[pathlib.Path]]:
    """Returns the groups of good files with the same bytes."""
    groups = collections.defaultdict(list)
    for fact in facts:
        if not fact.problem:
            groups[fact.sha256].append(fact.path)
    return [paths for paths in groups.values() if len(paths) > 1]

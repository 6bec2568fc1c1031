"""Kinds of changes of a tree that make its datasets stale."""

import json
import pathlib
import shutil
from collections.abc import Callable

import drawn_trees
import numpy as np

from geods.geo import partition

IDS = drawn_trees.location_ids(8)


def write_tree(root: pathlib.Path) -> pathlib.Path:
    """Writes a tree with provenance and lists for the report's split."""
    drawn_trees.write(root, IDS)
    partition.write(drawn_trees.cells(), root / "partition.geojson")
    (root / "provenance.json").write_text('{"source": "drawn", "licence": "CC0-1.0"}')
    save_lists(root, IDS[:6], IDS[6:])
    return root


def save_lists(root: pathlib.Path, train: list[str], test: list[str]) -> None:
    for name, ids in (("trainFiles.npy", train), ("testFiles.npy", test)):
        np.save(root / name, np.array([f"0+{place}" for place in ids]))


def view(root: pathlib.Path, place: int = 0, heading: int = 0) -> pathlib.Path:
    return root / "0" / IDS[place] / f"{heading}_2012-05.jpg"


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[pathlib.Path], object]:
    """Changes the bytes of one image."""
    return lambda root: view(root).write_bytes(change(view(root).read_bytes()))


def put_cells(cells: partition.Partition) -> Callable[[pathlib.Path], object]:
    return lambda root: partition.write(cells, root / "partition.geojson")


def put_provenance(**content: str) -> Callable[[pathlib.Path], object]:
    return lambda root: (root / "provenance.json").write_text(json.dumps(content))


def swap(root: pathlib.Path) -> None:
    first, second = view(root), view(root, 1)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def move(old: Callable[[pathlib.Path], pathlib.Path], new: str) -> Callable[[pathlib.Path], object]:
    def apply(root: pathlib.Path) -> None:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        old(root).rename(root / new)

    return apply


def add(name: str, seed: int = 500) -> Callable[[pathlib.Path], object]:
    def apply(root: pathlib.Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(drawn_trees.jpeg(seed))

    return apply


def lose_place(root: pathlib.Path) -> None:
    shutil.rmtree(view(root, 7).parent)
    save_lists(root, IDS[:6], IDS[6:7])


def drop_lists(root: pathlib.Path) -> None:
    for path in root.glob("*.npy"):
        path.unlink()


CELLS = drawn_trees.cells()


FIRST, MOVED, NEW = (f"0/{IDS[0]}/{heading}_2012-05.jpg" for heading in (0, 5, 270))


CHANGES: dict[str, tuple[Callable[[pathlib.Path], object], str]] = {
    "last byte flipped": (rewrite(lambda old: old[:-1] + bytes([old[-1] ^ 1])), f"images changed: 1 ({FIRST})"),
    "first byte flipped": (rewrite(lambda old: bytes([old[0] ^ 1]) + old[1:]), f"images changed: 1 ({FIRST})"),
    "a bit of the scan flipped": (rewrite(lambda old: old[:-30] + bytes([old[-30] ^ 2]) + old[-29:]), FIRST),
    "a byte more": (rewrite(lambda old: old + b"\0"), f"images changed: 1 ({FIRST})"),
    "a byte less": (rewrite(lambda old: old[:-1]), f"images changed: 1 ({FIRST})"),
    "emptied": (rewrite(lambda _: b""), f"images changed: 1 ({FIRST})"),
    "another picture": (rewrite(lambda _: drawn_trees.jpeg(900)), f"images changed: 1 ({FIRST})"),
    "the picture of another view": (
        lambda root: shutil.copy(view(root, 1), view(root)),
        f"images changed: 1 ({FIRST})",
    ),
    "two pictures swapped": (swap, "images changed: 2"),
    "every picture": (lambda root: [p.write_bytes(p.read_bytes() + b"\0") for p in root.rglob("*.jpg")], "changed: 24"),
    "another heading": (move(view, MOVED), f"images renamed: 1 ({FIRST} to {MOVED})"),
    "another date": (move(view, f"0/{IDS[0]}/0_2013-05.jpg"), "images renamed: 1"),
    "no date": (move(view, f"0/{IDS[0]}/0.jpg"), "images renamed: 1"),
    "another suffix": (move(view, f"0/{IDS[0]}/0_2012-05.JPEG"), "images renamed: 1"),
    "a view of another place": (move(view, f"0/{IDS[1]}/45_2012-05.jpg"), "images renamed: 1"),
    "another cell folder": (move(lambda root: view(root).parent, f"3/{IDS[0]}"), "images renamed: 3"),
    "a view more": (add(NEW), f"images added: 1 ({NEW})"),
    "a copy of a view": (lambda root: shutil.copy(view(root), root / NEW), f"images added: 1 ({NEW})"),
    "a place more": (add("0/40.5,-100.5/0_2012-05.jpg"), "images added: 1 (0/40.5,-100.5/0_2012-05.jpg)"),
    "a place outside": (add("0/60.5,-100.5/0_2012-05.jpg"), "images added: 1"),
    "a bad image more": (lambda root: (root / NEW).write_bytes(b"bad"), f"images added: 1 ({NEW})"),
    "a view less": (lambda root: view(root).unlink(), f"images removed: 1 ({FIRST})"),
    "a place less": (lose_place, "images removed: 3"),
    "a view turned bad": (rewrite(lambda _: b"<html>"), "images left out as bad: 0 then, 1 now"),
    "a cell less": (put_cells(partition.Partition(CELLS.shapes[:14])), "partition: 15 cells then, 14 now"),
    "cells in another order": (put_cells(partition.Partition(CELLS.shapes[::-1])), "partition: 15 cells then, 15 now"),
    "a cell moved by a metre": (
        put_cells(partition.Partition((drawn_trees.shapely.box(-120, 30, -110.00001, 36), *CELLS.shapes[1:]))),
        "partition: 15 cells then, 15 now",
    ),
    "another source": (put_provenance(source="camera", licence="CC0-1.0"), "source 'drawn' then, 'camera' now"),
    "another licence": (
        put_provenance(source="drawn", licence="none"),
        "licence 'CC0-1.0' then, 'none' now",
    ),
    "no provenance": (
        lambda root: (root / "provenance.json").unlink(),
        "licence 'CC0-1.0' then, 'unknown'",
    ),
    "other lists": (
        lambda root: save_lists(root, IDS[:5], IDS[5:]),
        "split: by other lists (testFiles.npy, tra",
    ),
    "another test list": (lambda root: save_lists(root, IDS[:6], IDS[7:]), "split: by other lists (testFiles.npy)"),
    "lists in another order": (lambda root: save_lists(root, IDS[5::-1], IDS[6:]), "by other lists (trainFiles.npy)"),
    "no lists": (drop_lists, "split: by other lists (testFiles.npy, trainFiles.npy)"),
}

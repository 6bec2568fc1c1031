"""Photographs noted in a journal and placed in a tree, for tests of the import."""

import pathlib

import drawn_trees
import pytest

from geods.imagery.photos import import_journal, photo, scan, store

PLACE = (40.5, -100.25)


@pytest.fixture
def source(tmp_path) -> pathlib.Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    return tmp_path / "tree"


def take(source: pathlib.Path, file: str, seed: int, lat_deg=PLACE[0], lon_deg=PLACE[1], **facts) -> photo.Photo:
    """Writes a picture and returns the photograph of it."""
    (source / file).write_bytes(drawn_trees.jpeg(seed))
    return photo.Photo(file, lat_deg, lon_deg, **facts)


def note(journal, found, *, same_place_m=0.0, raise_on=(), **more) -> scan.Tally:
    with journal.transaction():
        return scan.scan(
            found,
            drawn_trees.cells(),
            journal,
            same_place_m=same_place_m,
            raise_on=raise_on,
            swap_hint="swap them",
            **more,
        )


def run(source, root, found, *, link=False, raise_on_bad=True, **options) -> tuple[scan.Tally, int]:
    with import_journal.Journal(root) as journal:
        tally = note(journal, found, **options)
        return tally, store.place(journal, source, root, link=link, raise_on_bad=raise_on_bad).images


def names(root: pathlib.Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))

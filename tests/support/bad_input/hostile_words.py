"""Hostile flags, seals, provenances, tables and file names.

WORDS maps a name to a function that writes the file into a folder and gives it to its real reader.
"""

import os
import pathlib
import pickle
from collections.abc import Callable

import drawn_photos
import drawn_trees
import road
from hostile import OUTSIDE, nested

from geods.cli import flags
from geods.geo import partition
from geods.storage import seals
from geods.tree import companions
from tools import verify
from trainers.options import train_options


def of_flags(content: bytes) -> Callable[[pathlib.Path], object]:
    """Reads bytes as the flags of a run."""

    def read(here: pathlib.Path) -> object:
        (here / "flags.cfg").write_bytes(content.replace(b"{here}", os.fsencode(here)))
        return flags.from_flagfile(train_options.TrainOptions, here / "flags.cfg")

    return read


def of_command(content: bytes, chain: int = 0) -> Callable[[pathlib.Path], object]:
    """Gives bytes to a program as flag file, behind a chain of others."""

    def read(here: pathlib.Path) -> object:
        (here / f"{chain}.cfg").write_bytes(content.replace(b"{here}", os.fsencode(here)))
        for number in range(chain):
            (here / f"{number}.cfg").write_text(f"--flagfile={here / f'{number + 1}.cfg'}\n")
        return program(here, "tools.verify", f"--flagfile={here / '0.cfg'}")

    return read


def program(here: pathlib.Path, *words: str) -> str:
    """Runs a program; returns its output.

    Raises:
        AssertionError: If it shows a traceback, a secret or bytes that steer a terminal.
    """
    status, said = road.without_tensorflow(list(words), here / "output.txt")
    assert "Traceback" not in said, said
    assert "\x1b" not in said, said
    assert status in (0, 2), said
    return said


def of_seal(here: pathlib.Path) -> object:
    """Verifies a folder whose seal names files elsewhere."""
    folder = here / "run"
    folder.mkdir()
    for name in ("model.keras", "flags.cfg"):
        (folder / name).write_text("")
    entries = dict.fromkeys(("../outside/secret.txt", str(here / OUTSIDE / "secret.cfg")), (3, "0" * 64))
    (folder / seals.NAME).write_text(seals._text(entries))
    return verify.verify(folder, "run")


def of_provenance(here: pathlib.Path) -> object:
    """Reads a provenance that is nested too deep."""
    (here / companions.PROVENANCE_NAME).write_text(nested())
    return companions.TreeFolder(here).provenance()


def of_table(name: str) -> Callable[[pathlib.Path], object]:
    """Reads a table that names a file outside, as tree and as list for an import."""

    def read(here: pathlib.Path) -> object:
        partition.write(drawn_trees.cells(), here / "partition.geojson")
        source = here / "source"
        source.mkdir()
        (source / "a.jpg").write_bytes(drawn_trees.jpeg(0))
        row = name.replace("{outside}", str(here / OUTSIDE))
        (source / "t.csv").write_text(f'file,latitude,longitude\n"{row}",35,-95\n')
        cells = f"--partition={here / 'partition.geojson'}"
        program(
            here,
            "tools.import_images",
            f"--source={source}",
            f"--csv={source / 't.csv'}",
            f"--out={here / 'out'}",
            cells,
        )
        said = program(here, "tools.check_tree", f"--tree={source / 't.csv'}", cells)
        assert not list((here / "out").rglob("*.jpg"))
        return said

    return read


def of_names(name: bytes) -> Callable[[pathlib.Path], object]:
    """Imports a photograph and checks a tree with a file and folder of this name."""

    def read(here: pathlib.Path) -> object:
        partition.write(drawn_trees.cells(), here / "partition.geojson")
        content = drawn_photos.jpeg(0, drawn_photos.position_tags(35.5, -95.5))
        source = here / "source"
        source.mkdir()
        pathlib.Path(os.fsdecode(os.fsencode(source) + b"/" + name + b".jpg")).write_bytes(content)
        cells = f"--partition={here / 'partition.geojson'}"
        program(here, "tools.import_images", f"--source={source}", f"--out={here / 'out'}", cells)
        root = drawn_trees.write(here / "tree", drawn_trees.location_ids(1))
        place = next((root / "0").iterdir())
        for folder in (place, root / "0"):
            pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/" + name + b".jpg")).write_bytes(content)
            program(here, "tools.check_tree", f"--tree={root}", cells)
        return program(here, "tools.check_tree", "--tree=" + os.fsdecode(os.fsencode(root) + name))

    return read


WORDS: dict[str, Callable[[pathlib.Path], object]] = {
    "flags of a run that name another file": of_flags(b"--flagfile={here}/outside/secret.cfg\n"),
    "flags of a run that are a pickle": of_flags(pickle.dumps({"seed": 1})),
    "flag file that includes itself": of_command(b"--flagfile={here}/0.cfg\n"),
    "flag file of bytes": of_command(bytes(range(256))),
    "flag file behind 2,000 others": of_command(b"--kinds=run\n", chain=2000),
    "seal that names files elsewhere": of_seal,
    "provenance nested too deep": of_provenance,
    "table that leads out": of_table("../outside/photo.jpg"),
    "table with an absolute name": of_table("{outside}/photo.jpg"),
    "table with NUL in a name": of_table("a\0.jpg"),
    "table with a line break in a name": of_table("a\n.jpg"),
    "name that steers the terminal": of_names(b"\x1b[2J\x1b]0;owned\x07"),
    "name with a line break": of_names(b"a\nb"),
    "name that is not UTF-8": of_names(b"\xff\xfe"),
    "name of 250 bytes": of_names(b"a" * 250),
}

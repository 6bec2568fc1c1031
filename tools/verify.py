"""Verifies every byte of datasets, feature caches, encoders and runs.

    python -m tools.verify data cache runs/mlp

A path is one of these folders or one that holds some at any depth. Costs one read of every file: about as long as
sha256sum takes. Prints a line for each that is whole, and for each damaged file what is wrong with it and what to do;
the exit code is 2 if there is any. Opening a dataset or cache to train on it looks at the sizes alone.
"""

import dataclasses
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Literal, get_args

from geods import errors
from geods.cli import flags, program
from geods.dataset import dataset_folder, record_files
from geods.storage import seals

Kind = Literal["dataset", "cache", "encoder", "run"]


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the verification."""

    kinds: tuple[str, ...] = flags.option(get_args(Kind), "Kinds to verify: dataset, cache, encoder, run.")
    paths: tuple[str, ...] = flags.positional(
        "PATH", "Datasets, caches and run folders, or folders that hold some.", path="in"
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        if not self.paths:
            raise errors.OptionError("no path given.", "name a data_dir, cache_dir or run folder, or several")
        if unknown := set(self.kinds) - set(get_args(Kind)):
            problem = f"--kinds: {', '.join(sorted(unknown))} is not {', '.join(get_args(Kind))}."
            raise errors.OptionError(problem, "name some of these")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Result of one folder.

    Attributes:
        damage: Its damaged files, none if it is whole.
        next_step: How to fix it.
        note: Remark on files that could not be verified.
        size_bytes: Bytes of all files that were read.
    """

    damage: tuple[seals.Damage, ...]
    next_step: str
    note: str = ""
    size_bytes: int = 0


def main(options: Options) -> None:
    """Verifies all paths."""
    broken = 0
    for path in options.paths:
        found = [(folder, kind) for folder, kind in find(pathlib.Path(path)) if kind in options.kinds]
        if not found:
            problem = f"{path}: there is no {' or '.join(options.kinds)} in it."
            raise errors.MissingFileError(problem, "name a data_dir, a cache_dir or a run folder")
        for folder, kind in found:
            started_s = time.monotonic()
            verdict = verify(folder, kind)
            broken += len(verdict.damage)
            print(_told(folder, kind, verdict, time.monotonic() - started_s), flush=True)
    if broken:
        files = "1 file is" if broken == 1 else f"{broken} files are"
        raise errors.SealError(f"{files} damaged.", "do what stands below each of them above")


def find(path: pathlib.Path) -> Iterator[tuple[pathlib.Path, Kind]]:
    """Yields the datasets, caches, encoders and runs in a folder with their kinds."""
    for name, folders, files in os.walk(path):
        # What a build that was killed has left was never finished.
        folders[:] = sorted(folder for folder in folders if not folder.startswith("incomplete."))
        kind = _kind_of(set(files), set(folders))
        if kind:
            yield pathlib.Path(name), kind


def verify(folder: pathlib.Path, kind: Kind) -> Verdict:
    """Reads all of one dataset, cache, encoder or run."""
    return {"dataset": _dataset, "cache": _cache, "encoder": _encoder, "run": _run}[kind](folder)


def _kind_of(files: set[str], folders: set[str]) -> Kind | None:
    """Returns the kind of a folder by its files and folders, if some are lost too."""
    from trainers.features import cache_format
    from trainers.runs import run_folder

    if not files.isdisjoint(cache_format.ENCODER_FILES):
        return "encoder"
    if dataset_folder.INFO in files or any(f".{kind}-" in name for name in files for kind in record_files.FORMATS):
        return "dataset"
    if cache_format.INDEX in files or (cache_format.ARRAYS in files and "blocks" in folders):
        return "cache"
    if run_folder.MODEL in files or {seals.NAME, run_folder.FLAGS} <= files:
        return "run"
    return "dataset" if seals.NAME in files else None


def _dataset(folder: pathlib.Path) -> Verdict:
    """Reads a dataset."""
    if dataset_folder.lacks_seal(folder):
        return Verdict(
            (), "", "was built before datasets were sealed, so nothing is known of its bytes; build it again"
        )
    kinds = [kind for kind in dataset_folder.converted_to(folder) if kind in record_files.FORMATS]
    damage = dataset_folder.damage_in(folder)
    damage += [] if damage else [one for kind in kinds for one in record_files.converted_damage(folder, kind)]
    note = f"{' and '.join(kinds)} of tfds convert_format hold the same records" if kinds and not damage else ""
    return dataclasses.replace(_sealed(folder, dataset_folder.damaged(folder, "").next_step, damage), note=note)


def _encoder(folder: pathlib.Path) -> Verdict:
    """Reads the encoder of a cache."""
    from trainers.features import cache_format

    return _sealed(folder, cache_format.extract_again(folder))


def _run(folder: pathlib.Path) -> Verdict:
    """Reads a run folder."""
    from trainers.runs import run_folder

    step = "put back a copy of it, or train again: "
    step += f"python -m trainers.train --flagfile={folder / run_folder.FLAGS} --overwrite"
    if not seals.is_sealed(folder):
        return Verdict((), "", "was trained before runs were sealed, or cut off in its last moment; train it again")
    verdict = _sealed(folder, step)
    known = seals.names_in(folder)
    loose = [name for name in run_folder.EVALUATED if (folder / name).is_file() and name not in known]
    return dataclasses.replace(verdict, note=f"{', '.join(loose)}: not sealed; evaluate again" if loose else "")


def _sealed(folder: pathlib.Path, next_step: str, damage: list[seals.Damage] | None = None) -> Verdict:
    """Verifies a folder with a seal, unless its damage is known."""
    sizes = [(folder / name).stat().st_size for name in seals.names_in(folder) if (folder / name).is_file()]
    return Verdict(tuple(seals.verify(folder) if damage is None else damage), next_step, size_bytes=sum(sizes))


def _cache(folder: pathlib.Path) -> Verdict:
    """Reads a feature cache."""
    from trainers.features import cache_format, feature_cache

    try:
        damage = feature_cache.damaged(folder)
    except errors.CacheError as error:
        if "not finished" in error.problem:
            return Verdict((), "", f"extraction is not finished; {error.next_step}")
        return Verdict((seals.Damage(folder / cache_format.INDEX, "is missing or damaged"),), error.next_step)
    size_bytes = sum(path.stat().st_size for path in folder.glob("blocks/*.npy"))
    step = (
        cache_format.rewrite_block(damage[0].path)
        if len(damage) == 1
        else f"delete them, then {cache_format.resume(folder)}"
    )
    return Verdict(tuple(damage), step, size_bytes=size_bytes)


def _told(folder: pathlib.Path, kind: Kind, verdict: Verdict, seconds: float) -> str:
    """Returns the lines on one folder."""
    if verdict.damage:
        return "\n".join([f"damaged  {damage}" for damage in verdict.damage] + [f"  Next: {verdict.next_step}"])
    note = f"; {verdict.note}" if verdict.note else ""
    word = "unknown" if verdict.note and not verdict.size_bytes else "whole  "
    return f"{word}  {folder}: {kind}, {verdict.size_bytes / 1e6:,.1f} MB, {seconds:,.1f} s{note}"


if __name__ == "__main__":
    program.run(Options, main)

"""Settings of an imported tree, which every run of tools.import_images shares."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from geods import errors
from geods.geo import partition
from geods.imagery.photos import import_journal, sphere_views
from geods.storage import files
from geods.tree import companions


@dataclasses.dataclass(frozen=True)
class ImportSettings:
    """Settings of an import; they stay the same from run to run.

    Attributes:
        root: Folder of the tree.
        source: Folder of the photographs.
        csv: Table of their positions; empty if there is none.
        same_place_m: Distance within which photographs are views of one location, metres.
        cells: The partition.
        headings_deg: Where the views look that are cut from panoramas.
        gpx: Track of the positions; empty if there is none.
        clock_offset_s: Seconds by which the cameras' clock is ahead of the track's.
    """

    root: pathlib.Path
    source: pathlib.Path
    csv: str
    same_place_m: float
    cells: partition.Partition
    headings_deg: Sequence[float] = sphere_views.HEADINGS_DEG
    gpx: str = ""
    clock_offset_s: float = 0.0

    def is_new(self) -> bool:
        """Returns whether the tree is missing; False if it has these settings.

        Raises:
            TreeError: If the folder holds something else, or a tree of another source.
        """
        note = self.root / companions.PROVENANCE_NAME
        if not note.is_file():
            self._refuse_foreign()
            return True
        try:
            # Imports of older versions have neither headings nor tracks.
            there = {"headings_deg": list(sphere_views.HEADINGS_DEG), "gpx": "", "clock_offset_s": 0.0}
            there |= files.parse_json(note.read_bytes())["imported_with"]
            changes = [
                f"{name} was {there[name]!r}, is {value!r}"
                for name, value in self._values().items()
                if there[name] != value
            ]
        except (ValueError, KeyError, TypeError) as error:
            problem = f"{self.root}: is not a tree of this program."
            raise errors.TreeError(problem, "name a new folder; sources must not mix") from error
        if changes:
            problem = f"{self.root}: was imported from another source or with other options ({'; '.join(changes)})."
            raise errors.TreeError(problem, "give what it was, or name a new folder: --out=FOLDER")
        if not (self.root / import_journal.NAME).is_file():
            raise errors.TreeError(f"{self.root}: its {import_journal.NAME} is gone.", "name a new folder")
        return False

    def write(self, source_name: str, licence: str) -> None:
        """Writes the partition and the provenance of a new tree.

        Args:
            source_name: What the dataset calls the source.
            licence: Licence of the images that do not say theirs.

        Raises:
            PartitionError: If nothing can be written there.
        """
        partition.write(self.cells, self.root / companions.PARTITION_NAME)
        note: dict[str, Any] = {"source": source_name, "licence": licence, "licences": companions.CREDITS_NAME}
        note |= {"imported_with": self._values()}
        files.write_json(self.root / companions.PROVENANCE_NAME, note)

    def remove(self) -> None:
        """Removes the files of an import that was refused before any image was placed."""
        for name in (import_journal.NAME, companions.PARTITION_NAME, companions.PROVENANCE_NAME):
            (self.root / name).unlink(missing_ok=True)
        if not any(self.root.iterdir()):
            self.root.rmdir()

    def _values(self) -> dict[str, Any]:
        """Returns what is compared."""
        tables = {"csv": self.csv, "gpx": self.gpx}
        return {
            "source": str(self.source.resolve()),
            **{name: str(pathlib.Path(path).resolve()) if path else "" for name, path in tables.items()},
            "same_place_m": self.same_place_m,
            "partition_sha256": self.cells.fingerprint,
            "headings_deg": list(self.headings_deg),
            "clock_offset_s": self.clock_offset_s,
        }

    def _refuse_foreign(self) -> None:
        """Raises TreeError if the folder holds foreign files.

        Files of a run that was killed at its start are allowed.
        """
        names = [path.name for path in self.root.iterdir()] if self.root.is_dir() else []
        ours = (import_journal.NAME, companions.PARTITION_NAME)
        if self.root.is_file() or not all(name.startswith(ours) for name in names):
            problem = f"{self.root}: is not empty, and not a tree of this program."
            raise errors.TreeError(problem, "name a new folder; sources must not mix")

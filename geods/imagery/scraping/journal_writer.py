"""Writing the journal: each method is one transaction, on disk when it returns."""

import contextlib
import dataclasses
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from geods import errors
from geods.imagery import source
from geods.imagery.scraping import scrape_journal


@dataclasses.dataclass(frozen=True)
class Reservation:
    """A panorama taken for a query, whose images are to be fetched.

    Attributes:
        cell: Cell it lies in.
        ordinal: Number of the query in that cell.
        location_id: Name of its folder.
        panorama: The panorama.
        headings: Headings of its views.
        stream: Number under which the query is kept; that of the cell if None.
        is_listed: Whether it was asked for by a list of points, which may have several of one sequence.
        others: Panoramas of the same place from other months, for the same headings.
    """

    cell: int
    ordinal: int
    location_id: str
    panorama: source.Panorama
    headings: tuple[int, ...] = ()
    stream: int | None = None
    is_listed: bool = False
    others: tuple[source.Panorama, ...] = ()

    @property
    def views(self) -> list[tuple[source.Panorama, int]]:
        """All views, as panorama and heading; a flat picture has its own."""
        found = [(self.panorama, heading) for heading in self.headings]
        for other in self.others:
            own = self.headings if other.heading_deg is None else (other.heading_deg,)
            found += [(other, heading) for heading in own]
        return found

    @property
    def query(self) -> tuple[int, int]:
        """Stream and number of its query."""
        return (self.cell if self.stream is None else self.stream), self.ordinal


class Writer:
    """The one writer of a tree's journal; for all threads.

    Args:
        tree_dir: Folder of the tree.
        config: What decides which images the tree gets.

    Raises:
        TreeError: If the journal is of another config, or is none.
    """

    def __init__(self, tree_dir: str | os.PathLike[str], config: Mapping[str, Any]) -> None:
        """Opens or makes the journal."""
        self._lock = threading.Lock()
        path = scrape_journal.path_in(tree_dir)
        self._connection = scrape_journal.create(path)
        try:
            self._check(dict(config), str(path))
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it.

        The file can then be read alone.
        """
        with self._lock:
            # Not while someone reads: then the log stays, until the next run or reader.
            with contextlib.suppress(sqlite3.OperationalError):
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()

    def note(self, state: str, detail: str) -> None:
        """Writes down how the run stands."""
        with self._transaction() as run:
            run.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", [("state", state), ("detail", detail)])

    def units(self) -> int:
        """Returns the units of all requests that were sent or were about to be."""
        (units,) = self._one("SELECT TOTAL(units) FROM image") or (0,)
        return int(units)

    def progress(self) -> dict[int, tuple[int, int]]:
        """Returns the finished queries and complete locations of each cell with a query."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT cell, SUM(outcome != ?), SUM(outcome = ?) FROM query GROUP BY cell",
                (scrape_journal.OPEN, scrape_journal.ACCEPTED),
            ).fetchall()
        return {cell: (finished, accepted) for cell, finished, accepted in rows}

    def outcomes(self) -> dict[int, dict[str, int]]:
        """Returns for each cell with a query how often each outcome came."""
        counts: dict[int, dict[str, int]] = {}
        with self._lock:
            rows = self._connection.execute("SELECT cell, outcome, COUNT(*) FROM query GROUP BY cell, outcome")
            for cell, outcome, count in rows:
                counts.setdefault(cell, {})[outcome] = count
        return counts

    def point_outcomes(self) -> dict[tuple[int, int], tuple[str, str, str]]:
        """Returns the outcome of each query of a list, by stream and number.

        Each is (outcome, panorama id, folder of the location).

        The outcome is "found" also where another row had found the same panorama.
        """
        with self._lock:
            rows = self._connection.execute(
                "SELECT query.cell, ordinal, outcome, panorama.pano_id, panorama.cell, location_id, number FROM query"
                " LEFT JOIN panorama ON panorama.pano_id ="
                " CASE outcome WHEN 'seen_before' THEN detail ELSE query.pano_id END"
                " LEFT JOIN arrival ON arrival.pano_id = panorama.pano_id"
            ).fetchall()
        return {
            (stream, ordinal): ("found", pano_id, f"{cell}/{location_id}") if number else (outcome, pano_id or "", "")
            for stream, ordinal, outcome, pano_id, cell, location_id, number in rows
        }

    def open_claim(self, stream: int) -> Reservation | None:
        """Returns the unfinished claim of a cell, or of a stream of points.

        Such a claim is left by an earlier run.
        """
        row = self._one(
            "SELECT ordinal, location_id FROM query JOIN panorama USING (pano_id) WHERE query.cell = ? AND outcome = ?",
            (stream, scrape_journal.OPEN),
        )
        if row is None:
            return None
        ordinal, location_id = row
        lat_deg, lon_deg = map(float, location_id.split(","))
        with self._lock:
            rows = self._connection.execute(
                "SELECT panorama.cell, panorama.pano_id, panorama.date, panorama.copyright, panorama.source,"  # noqa: S608 - constants
                " panorama.licence, panorama.sequence, heading_deg FROM panorama AS place"
                f" {scrape_journal.SHOTS} JOIN image ON image.pano_id = panorama.pano_id"
                " WHERE place.location_id = ? ORDER BY panorama.location_id, heading_deg",
                (location_id,),
            ).fetchall()
        headings: dict[source.Panorama, tuple[int, ...]] = {}
        for _, name, date, *about, heading in rows:
            shot = source.Panorama(name, lat_deg, lon_deg, date, *about)
            headings[shot] = (*headings.get(shot, ()), heading)
        (panorama, own), *others = headings.items()
        # Of flat pictures each has a heading of its own.
        kept = [shot if found == own else dataclasses.replace(shot, heading_deg=found[0]) for shot, found in others]
        return Reservation(rows[0][0], ordinal, location_id, panorama, own, stream, others=tuple(kept))

    def locations(self, stream: int) -> list[tuple[float, float]]:
        """Returns the positions of a cell's locations, complete or open."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT location_id FROM query JOIN panorama USING (pano_id)"
                " WHERE query.cell = ? AND outcome IN (?, ?)",
                (stream, scrape_journal.OPEN, scrape_journal.ACCEPTED),
            ).fetchall()
        return [tuple(map(float, location_id.split(","))) for (location_id,) in rows]  # type: ignore[misc]

    def is_taken(self, pano_id: str) -> bool:
        """Returns whether a panorama is in the journal already."""
        return self._one("SELECT 1 FROM panorama WHERE pano_id = ?", (pano_id,)) is not None

    def miss(self, cell: int, ordinal: int, point: tuple[float, float], reason: str, detail: str) -> None:
        """Writes down that a query gave no panorama."""
        with self._transaction() as run:
            run.execute("INSERT INTO query VALUES (?, ?, ?, ?, ?, ?, NULL)", (cell, ordinal, *point, reason, detail))

    def claim(self, found: Reservation, point: tuple[float, float]) -> str:
        """Takes a panorama for a query.

        Returns "" or, if it is taken, the reason, which is then written down.
        """
        panorama = found.panorama
        with self._transaction() as run:
            reason = self._taken(found)
            outcome, pano_id = (reason, None) if reason else (scrape_journal.OPEN, panorama.pano_id)
            about_query = (*found.query, *point, outcome, panorama.pano_id if reason else "", pano_id)
            run.execute("INSERT INTO query VALUES (?, ?, ?, ?, ?, ?, ?)", about_query)
            if not reason:
                self._insert(run, found, panorama, found.location_id, found.is_listed)
                for other in found.others:
                    self._insert(run, found, other, f"{found.location_id}/{other.date}", True)
                rows = [(shot.pano_id, heading) for shot, heading in found.views]
                run.executemany("INSERT INTO image (pano_id, heading_deg) VALUES (?, ?)", rows)
        return reason

    def reserve(self, pano_id: str, heading_deg: int, units: int) -> None:
        """Counts the units of a request that is about to be sent.

        Below 0, of one that was not sent after all.
        """
        with self._transaction() as run:
            run.execute(
                "UPDATE image SET units = units + ? WHERE pano_id = ? AND heading_deg = ?",
                (units, pano_id, heading_deg),
            )

    def twin(self, cell: int, hashes: Sequence[str]) -> str | None:
        """Returns a complete panorama of the cell with one of these images, or None."""
        marks = ",".join("?" * len(hashes))
        row = self._one(
            f"SELECT pano_id FROM image JOIN panorama USING (pano_id) WHERE cell = ? AND sha256 IN ({marks})",  # noqa: S608 - question marks only
            (cell, *hashes),
        )
        return None if row is None else str(row[0])

    def complete(self, claim: Reservation, images: Mapping[tuple[str, int], tuple[int, str]]) -> None:
        """Writes down that all views of a claim are in place.

        Args:
            claim: The claim.
            images: By panorama and heading, the bytes and the SHA-256 of each image.
        """
        with self._transaction() as run:
            rows = [(*about, *view) for view, about in images.items()]
            run.executemany("UPDATE image SET bytes = ?, sha256 = ? WHERE pano_id = ? AND heading_deg = ?", rows)
            self._finish(run, claim, scrape_journal.ACCEPTED, "")
            run.execute("INSERT INTO arrival (pano_id) VALUES (?)", (claim.panorama.pano_id,))

    def fail(self, claim: Reservation, reason: str, detail: str) -> None:
        """Writes down that a claim gave no location; its panorama is not tried again."""
        with self._transaction() as run:
            self._finish(run, claim, reason, detail)

    def _finish(self, run: sqlite3.Connection, claim: Reservation, outcome: str, detail: str) -> None:
        """Sets the outcome of a claim's query."""
        values = (outcome, detail, *claim.query)
        run.execute("UPDATE query SET outcome = ?, detail = ? WHERE cell = ? AND ordinal = ?", values)

    def _insert(
        self, run: sqlite3.Connection, found: Reservation, panorama: source.Panorama, location_id: str, many: bool
    ) -> None:
        """Inserts a panorama; `many` of one sequence have that in another table."""
        own, listed = (None, panorama.sequence) if many else (panorama.sequence, None)
        about = (panorama.date, panorama.copyright, panorama.source, panorama.licence, own)
        row = (panorama.pano_id, found.cell, location_id, *about)
        run.execute("INSERT INTO panorama VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        if panorama.original_name or listed:
            original = (panorama.pano_id, panorama.original_name, listed)
            run.execute("INSERT INTO original VALUES (?, ?, ?)", original)

    def _taken(self, found: Reservation) -> str:
        """Returns why a panorama may not be taken, or ""."""
        panorama = found.panorama
        sequence = None if found.is_listed else panorama.sequence
        for reason, question, values in (
            ("seen_before", "pano_id = ?", (panorama.pano_id,)),
            ("same_place", "location_id = ?", (found.location_id,)),
            (
                "same_sequence",
                "cell = ? AND sequence = ?",
                (found.cell, sequence),
            ),
        ):
            if self._connection.execute(f"SELECT 1 FROM panorama WHERE {question}", values).fetchone():  # noqa: S608 - constants
                return reason
        return ""

    def _check(self, config: dict[str, Any], name: str) -> None:
        """Writes the config into a new journal, or compares it with that of an old one."""
        text = json.dumps(config, sort_keys=True)
        row = self._one("SELECT value FROM run WHERE name = 'config'")
        if row is None:
            with self._transaction() as run:
                run.execute("INSERT INTO run VALUES ('config', ?)", (text,))
        elif row[0] != text:
            there, wanted = json.loads(row[0]), json.loads(text)
            names = sorted(key for key in there.keys() | wanted.keys() if there.get(key) != wanted.get(key))
            changes = ", ".join(f"{key} was {there.get(key)}, is {wanted.get(key)}" for key in names)
            problem = f"{name}: was begun with other options ({changes})."
            raise errors.TreeError(problem, "give those of before, or name a new folder with --out")

    def _one(self, question: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Returns the first row of an answer."""
        with self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(question, values).fetchone()
            return row

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Gives the connection for statements that count all or none."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

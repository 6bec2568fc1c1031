"""A CSV table that says where the photographs of a folder were taken.

Read row by row, so its length costs no memory; every value stays text ("NA" is Namibia, and 0123 an id). The columns
are known by their names in OSV-5M, Im2GPS3k, Mapillary's answers and everyday tables, or named by the caller. Values
are apart by comma, semicolon or tab, whichever the header has most of.
"""

import contextlib
import math
import pathlib
from collections.abc import Iterator, Sequence

from geods import errors
from geods.imagery.photos import file_index, notation, photo, table_columns


def photos(
    path: pathlib.Path, folder: pathlib.Path, chosen: table_columns.Columns
) -> Iterator[photo.Photo | photo.Skipped]:
    """Yields the photograph of each row, in order, then the images that no row names.

    No image is opened.

    Args:
        path: The table.
        folder: Where the images lie, at any depth.
        chosen: What `table_columns.find` returned.

    Raises:
        TreeError: If the file is not a CSV table in UTF-8.
    """
    index = file_index.PhotoIndex(folder)
    rows = table_columns.rows(path)
    if chosen.has_header:
        next(rows, None)
    try:
        for line, row in rows:
            if any(row):
                yield from _photos(_Row(chosen, row, f"{path} line {line}"), index)
        for file in index.unnamed():
            yield photo.Skipped("unnamed", errors.TreeError(f"{file}: no row names it.", "add a row, or delete it"))
    finally:
        index.close()


class _Row:
    """One row, by field."""

    def __init__(self, chosen: table_columns.Columns, values: Sequence[str], where: str) -> None:
        self.chosen, self.where = chosen, where
        self._values = values

    def get(self, field: str) -> str:
        """Returns the value of a field; empty if the table or this row has none."""
        at = self.chosen.by_field.get(field)
        return "" if at is None or at >= len(self._values) else self._values[at]

    def angle_deg(self, field: str) -> float | None:
        """Returns the latitude or longitude, None for an empty one.

        Raises:
            ValueError: If it has no meaning, or two.
        """
        text = self.get(field)
        has_reference = f"{field}_ref" in self.chosen.by_field
        if not has_reference:
            # Nearly all tables, and a tenth of the time.
            with contextlib.suppress(ValueError):
                if math.isfinite(value := float(text)):
                    return value
        if notation.is_unknown(text):
            return None
        return notation.angle_deg(
            text, table_columns.LETTERS[field], self.get(f"{field}_ref") if has_reference else None
        )


def _photos(row: _Row, index: file_index.PhotoIndex) -> Iterator[photo.Photo | photo.Skipped]:
    """Yields the photographs of a row, or its problem.

    A row that names a folder has several.
    """
    position = _position(row)
    if isinstance(position, photo.Skipped):
        # Its image is named all the same.
        with contextlib.suppress(errors.TreeError):
            index.find_all(row.get("file"))
        yield position
        return
    lat_deg, lon_deg = position
    name = row.get("file")
    try:
        found = index.find_all(name) if name else []
        heading, date = notation.heading_deg(row.get("heading")), notation.month(row.get("date"))
    except errors.TreeError as error:
        yield photo.Skipped("bad_row", errors.TreeError(f"{row.where}: {error.problem}", error.next_step))
        return
    except ValueError:
        problem = f"heading {row.get('heading')!r} or date {row.get('date')!r} is not degrees or a month"
        hint = "correct the row, name another column, or none: --heading_column=- --date_column=-"
        yield photo.Skipped("bad_row", errors.TreeError(f"{row.where}: {problem}.", hint))
        return
    if not found:
        problem = f"{row.where}: there is no image {name!r}."
        yield photo.Skipped("no_file", errors.MissingFileError(problem, "name the folder of the images: --source="))
    for file, of_file in found:
        try:
            if not file.lower().endswith(photo.JPEG_SUFFIXES):
                photo.check_kind(index.folder / file)
        except errors.GeodsError as error:
            yield photo.Skipped("bad_image", error)
        else:
            yield photo.Photo(
                file,
                lat_deg + 0.0,
                lon_deg + 0.0,
                heading_deg=heading if of_file is None else of_file,
                date=date,
                creator=row.get("creator"),
                licence=row.get("licence"),
                source_id=row.get("source_id") or name,
                sequence=row.get("sequence"),
                country=row.get("country"),
            )


def _position(row: _Row) -> tuple[float, float] | photo.Skipped:
    """Returns (lat, lon) degrees of a row, or its problem."""
    try:
        lat_deg, lon_deg = (row.angle_deg(field) for field in ("lat", "lon"))
    except ValueError as error:
        problem = f"position {row.get('lat')!r}, {row.get('lon')!r} is not two numbers ({error})"
        hint = "correct the row, or give --on_bad_row=skip; --lat_ref_column and --lon_ref_column name hemispheres"
        return photo.Skipped("bad_row", errors.CoordinateError(f"{row.where}: {problem}.", hint))
    if lat_deg is None or lon_deg is None:
        problem = f"{row.where}: {row.get('file')!r} has no position."
        return photo.Skipped("no_position", errors.CoordinateError(problem, "write one into its row"))
    if problem := photo.position_problem(lat_deg, lon_deg):
        swapped = photo.looks_swapped(lat_deg, lon_deg)
        hint = row.chosen.swap_hint if swapped else "correct the row, or give --on_bad_row=skip"
        reason: photo.Reason = "swapped" if swapped else "bad_row"
        return photo.Skipped(reason, errors.CoordinateError(f"{row.where}: {problem}.", hint))
    return lat_deg, lon_deg

"""Tables of a scrape: its cost before, its results after, and TREE/views.csv."""

import collections
import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Mapping, Sequence

from geods.geo import geometry
from geods.imagery.scraping import budget, options, points, scrape_journal
from geods.storage import files
from geods.tree import companions, imagery_tree

CELLS_NAME = "cells.csv"
_SHOWN_CELLS = 12


@dataclasses.dataclass(frozen=True)
class Row:
    """One cell.

    Attributes:
        cell: Its number.
        target: Locations wanted.
        got: Locations there.
        lookups: Points looked up.
        misses: How often each reason kept a point from becoming a location.
    """

    cell: int
    target: int
    got: int
    lookups: int
    misses: Mapping[str, int]


def rows(outcomes: Mapping[int, Mapping[str, int]], targets: Mapping[int, int], got_outcome: str) -> list[Row]:
    """Returns a row for each cell.

    Args:
        outcomes: By cell, how often each outcome came.
        targets: By cell, the locations wanted.
        got_outcome: The outcome that is a location.
    """
    made = []
    for cell, target in targets.items():
        counts = dict(outcomes.get(cell, {}))
        got = counts.pop(got_outcome, 0)
        counts.pop(scrape_journal.OPEN, None)
        made.append(Row(cell, target, got, got + sum(counts.values()), counts))
    return made


def table(found: Sequence[Row], missed: Sequence[str] | None = None) -> str:
    """Returns the sums, and the cells under their target, as lines of text.

    Args:
        found: The cells, or the streams of listed points.
        missed: Lines on the listed points without a location; None where points are sampled.
    """
    misses: collections.Counter[str] = collections.Counter()
    for row in found:
        misses.update(row.misses)
    got, wanted = sum(row.got for row in found), sum(row.target for row in found)
    lookups = sum(row.lookups for row in found)
    share = f" ({got / lookups:.0%} of {lookups:,} points looked up)" if lookups else ""
    lines = [f"{got:,} of {wanted:,} locations{share}"]
    lines += [f"  {count:>8,}  {_words(reason)}" for reason, count in misses.most_common()]
    if missed is not None:
        lines += [f"  {line}" for line in missed[:_SHOWN_CELLS]]
        lines += [f"  ... and {len(missed) - _SHOWN_CELLS} more"] if len(missed) > _SHOWN_CELLS else []
        return "\n".join(lines)
    short = sorted((row for row in found if row.got < row.target), key=lambda row: (row.got - row.target, row.cell))
    if short:
        lines.append(f"{len(short)} of {len(found)} cells are under their target:")
        lines.append("    cell  target   got  looked up  misses")
    for row in short[:_SHOWN_CELLS]:
        why = ", ".join(f"{_words(reason)} {count}" for reason, count in sorted(row.misses.items()))
        lines.append(f"  {row.cell:>6}  {row.target:>6}  {row.got:>4}  {row.lookups:>9}  {why}")
    if len(short) > _SHOWN_CELLS:
        lines.append(f"  ... and {len(short) - _SHOWN_CELLS} more")
    return "\n".join(lines)


def write_cells(found: Sequence[Row], tree_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes the row of every cell to TREE/cells.csv and returns its path."""
    reasons = sorted({reason for row in found for reason in row.misses})
    text = io.StringIO(newline="")
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(["cell", "target", "got", "lookups", *reasons])
    for row in found:
        counts = [row.misses.get(reason, 0) for reason in reasons]
        sheet.writerow([row.cell, row.target, row.got, row.lookups, *counts])
    path = pathlib.Path(tree_dir, CELLS_NAME)
    files.write_text(path, text.getvalue())
    return path


def cost_plan(
    settings: options.ScrapeOptions,
    cells: int,
    there: int,
    spent_units: int,
    units_per_image: int,
    listed: Sequence[points.Point] = (),
) -> str:
    """Returns the table of the images still to come and their cost.

    Args:
        settings: The options.
        cells: Number of cells.
        there: Locations that are complete.
        spent_units: Units spent by earlier runs.
        units_per_image: Units of one image.
        listed: Points of a list; none where they are sampled.
    """
    views, wanted = len(settings.headings), len(listed) or cells * settings.locations_per_cell
    views *= max(1, len(settings.dates))
    all_images = points.views(listed, views) if listed else wanted * views
    to_come = round(all_images * max(0, wanted - there) / wanted)
    prices, units = settings.prices, to_come * units_per_image
    free = budget.Prices(prices.per_1000, prices.free_units, 0)
    total = free.cost(spent_units + units)
    minutes = to_come / settings.images_per_s / 60
    what = f"{cells:,} cells x {settings.locations_per_cell} locations x {views} views"
    what += ", for each month of a place" if "all" in settings.dates else ""
    if listed:
        what = f"{wanted:,} points of {settings.points}"
    lines = [
        f"  {what}: {all_images:,} images",
        f"  {there:,} locations are there; {to_come:,} images to come, at least {minutes:,.1f} minutes"
        f" at {settings.images_per_s:g} a second",
    ]
    if units_per_image:
        lines.append(
            f"  cost of all: {total:,.2f} USD at {prices.per_1000:g} USD a thousand, {prices.free_units:,} free;"
            f" spent: {free.cost(spent_units):,.2f} USD; at most --max_cost={prices.max_cost:g}"
        )
    return "\n".join(lines)


def bill(settings: options.ScrapeOptions, locations: int, units_per_image: int) -> str:
    """Returns the images of some locations and their cost, as a line."""
    images = locations * len(settings.headings)
    minutes = images / settings.images_per_s / 60
    line = f"{images:,} images of these: at least {minutes:,.1f} minutes at {settings.images_per_s:g} a second"
    return f"{line}, {settings.prices.cost(images * units_per_image):,.2f} USD" if units_per_image else line


def again(counts: Mapping[str, int]) -> str:
    """Returns how many requests had to be sent again, and why, as a line.

    Empty if none.
    """
    if not counts:
        return ""
    why = ", ".join(f"{_words(reason)} {count:,}" for reason, count in counts.items())
    return f"{sum(counts.values()):,} requests were sent again: {why}"


def _words(reason: str) -> str:
    """Returns a reason for people."""
    return reason.replace("_", " ")


VIEWS_NAME = companions.VIEWS_NAME
_VIEW_COLUMNS = (
    *("file", "pano_id", "latitude", "longitude", "heading", "date", "copyright", "source", "licence", "sequence"),
    *("bytes", "sha256", "query_latitude", "query_longitude", "distance_m", "original_name"),
)


def write_views(tree_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes one line a view, of complete locations only, sorted by file.

    Returns the path.
    """
    with scrape_journal.open_to_read(scrape_journal.path_in(tree_dir)) as connection:
        found = connection.execute(
            "SELECT place.cell, place.location_id, heading_deg, panorama.date, panorama.pano_id, panorama.copyright,"  # noqa: S608 - constants
            " panorama.source, panorama.licence, COALESCE(panorama.sequence, original.sequence),"
            " bytes, sha256, lat_deg, lon_deg, name"
            " FROM query CROSS JOIN arrival USING (pano_id) JOIN panorama AS place USING (pano_id)"
            f" {scrape_journal.SHOTS}"
            " JOIN image ON image.pano_id = panorama.pano_id"
            " LEFT JOIN original ON original.pano_id = panorama.pano_id"
            " ORDER BY place.cell, place.location_id, heading_deg, panorama.date"
        ).fetchall()
    text = io.StringIO(newline="")
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(_VIEW_COLUMNS)
    for cell, location_id, heading, date, *about, lat_deg, lon_deg, original_name in found:
        at = tuple(map(float, location_id.split(",")))
        distance_m = float(geometry.haversine_km(at, (lat_deg, lon_deg))) * 1000
        name = f"{cell}/{location_id}/{imagery_tree.view_name(heading, date)}"
        pano_id, *rest = about
        row = [name, pano_id, *location_id.split(","), heading, date, *rest, lat_deg, lon_deg, f"{distance_m:.1f}"]
        sheet.writerow([*row, original_name])
    path = pathlib.Path(tree_dir, VIEWS_NAME)
    files.write_text(path, text.getvalue())
    return path

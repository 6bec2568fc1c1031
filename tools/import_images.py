"""Makes an imagery tree of photographs with positions in EXIF or a table.

    python -m tools.import_images --source=PHOTOS --partition=partition.geojson --out=TREE
    python -m tools.import_images --source=IMAGES --csv=TABLE.csv --partition=partition.geojson --out=TREE

Without --csv every JPEG below PHOTOS is placed by its GPS position. With it, each row names an image by path, name or
id, anywhere below IMAGES; the columns of OSV-5M, Im2GPS3k and everyday tables are known. The bytes stay as they are.
Nothing is copied before the whole source has been read. The same command resumes an interrupted run and adds
photographs that are new; those that an earlier run has imported are read again only if they were changed since. 10,000
photographs of 25 kB take about 40 s on 2 cores, 1,000,000 rows of a table 15 s. Prints what was left out and why, and
what the tree holds; TREE/credits.csv names who made each image.
"""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from geods import errors
from geods.cli import flags, program
from geods.storage import files

if TYPE_CHECKING:
    from geods.geo import partition as partitions
    from geods.imagery.photos import import_journal, photo, scan, store, table_columns


_LEFT_OUT = {
    "no_position": "without a GPS position",
    "no_file": "rows whose image is not there",
    "bad_row": "rows that cannot be used",
    "swapped": "rows with latitude and longitude swapped",
    "bad_image": "files that are no whole JPEG",
    "outside": "outside every cell",
    "unnamed": "images that no row names",
    "linked": "links to folders, which are not followed",
}
_STATES = {
    "duplicate": "with the bytes of another",
    "bad": "images that cannot be used",
    "panorama": "panoramas left out",
}
_EXIF_SWAP_HINT = "check the partition; --csv=FILE takes positions from a table instead"


@dataclasses.dataclass(frozen=True)
class Options:
    """Photographs, positions and tree of an import."""

    source: str = flags.option("", "Folder of the photographs, searched at any depth.", path="in")
    out: str = flags.option("", "Folder of the tree; made if need be.", path="out")
    partition: str = flags.option("partition.geojson", "Partition file, whose cells are the labels.", path="in")
    csv: str = flags.option("", "Table of the positions; the images' EXIF if empty.", path="in")
    file_column: str = flags.option("", "Column of the image's path, name or id; looked for if empty.")
    lat_column: str = flags.option("", "Column of the latitude in degrees; looked for if empty.")
    lon_column: str = flags.option("", "Column of the longitude in degrees; looked for if empty.")
    lat_ref_column: str = flags.option("", "Column of N or S; looked for if empty, - for none.")
    lon_ref_column: str = flags.option("", "Column of E or W; looked for if empty, - for none.")
    heading_column: str = flags.option("", "Column of the heading in degrees; looked for if empty, - for none.")
    date_column: str = flags.option("", "Column of the date; looked for if empty, - for none.")
    gpx: str = flags.option("", "GPX track with the positions of photographs without GPS.", path="in")
    clock_offset_s: float = flags.option(
        0.0, "Seconds by which the camera's clock is ahead of UTC, or of the time zone in the EXIF where there is one."
    )
    creator: str = flags.option("", "Creator of the photographs whose metadata names none.")
    licence: str = flags.option("", "Licence of the photographs whose metadata names none, such as CC-BY-4.0.")
    same_place_m: float = flags.option(0.0, "Photographs so near each other, in metres, are views of one location.")
    headings: tuple[int, ...] = flags.option(
        (0, 90, 180, 270), "Headings of the views cut out of panoramas, degrees clockwise from north."
    )
    panoramas: Literal["cut", "drop"] = flags.option("cut", "Panoramas: cut views out of them, or leave them out.")
    link: bool = flags.option(False, "Whether to make hard links instead of copies.")
    outside: Literal["drop", "raise"] = flags.option("drop", "Photographs outside every cell: leave out, or end.")
    on_bad_row: Literal["some", "raise", "skip"] = flags.option(
        "some",
        "Rows with an impossible value: leave out up to --max_bad_fraction of all, end at the first, or leave all out.",
    )
    max_bad_fraction: float = flags.option(0.05, "With --on_bad_row=some, the largest share of bad rows.")
    on_bad_image: Literal["raise", "skip"] = flags.option("raise", "Images that are no whole JPEG: end, or leave out.")
    names: int = flags.option(5, "Most names to print for each kind of problem.")

    def __post_init__(self) -> None:
        """Checks the values."""
        for name, value in (("source", self.source), ("out", self.out)):
            if not value:
                raise errors.OptionError(f"--{name}: is empty.", f"name a folder: --{name}=FOLDER")
        files.check_apart(self.out, self.source)
        if not (math.isfinite(self.same_place_m) and 0 <= self.same_place_m <= 10_000):
            raise errors.OptionError(f"--same_place_m={self.same_place_m:g}: is not 0 to 10,000.", "give metres")
        if not self.headings or not all(-360 <= heading <= 360 for heading in self.headings):
            raise errors.OptionError(f"--headings={self.headings}: are no degrees.", "give such as 0,90,180,270")
        if not 0 <= self.max_bad_fraction <= 1:
            raise errors.OptionError(f"--max_bad_fraction={self.max_bad_fraction}: is not a share.", "give 0 to 1")
        if self.names < 0:
            raise errors.OptionError(f"--names={self.names}: is below 0.", "give 0 or more")
        columns = [f"--{name}" for name, value in self._columns().items() if value]
        if self.csv and self.gpx:
            raise errors.OptionError("--gpx: is not read beside a table.", "leave out --csv or --gpx")
        if columns and not self.csv:
            raise errors.OptionError(f"{columns[0]}: is a column of a table.", "name the table: --csv=FILE")

    def headings_deg(self) -> list[float]:
        """Returns where the views of panoramas look, each once.

        There are none if panoramas are left out.
        """
        return sorted({float(heading % 360) for heading in self.headings}) if self.panoramas == "cut" else []

    def wanted_columns(self) -> dict[str, str]:
        """Returns the column names by field, empty where they are looked for."""
        return {name.removesuffix("_column"): value for name, value in self._columns().items()}

    def _columns(self) -> dict[str, str]:
        """Returns the values of the column flags by their names."""
        names = [field.name for field in dataclasses.fields(self) if field.name.endswith("_column")]
        return {name: getattr(self, name) for name in names}


def main(options: Options) -> None:
    """Imports new photographs and prints a summary."""
    from geods.geo import partition as partitions
    from geods.imagery.photos import import_journal, import_settings, store
    from geods.storage import disk_errors

    source = files.check_folder(options.source, _source_hint(options.source))
    cells = partitions.read(options.partition)
    columns = _columns_of(options)
    root = pathlib.Path(options.out)
    headings_deg = options.headings_deg()
    mine = import_settings.ImportSettings(
        root, source, options.csv, options.same_place_m, cells, headings_deg, options.gpx, options.clock_offset_s
    )
    is_new = mine.is_new()
    refused = False
    try:
        with disk_errors.translate_disk_errors(root), import_journal.Journal(root) as journal:
            refused = is_new
            with journal.transaction():
                tally = _scan(options, source, columns, cells, journal)
                if is_new:
                    mine.write(_source_name(source, columns), _licence(options, columns) or "see credits.csv")
            refused = False
            try:
                raise_on_bad = options.on_bad_image == "raise"
                placed = store.place(
                    journal, source, root, link=options.link, raise_on_bad=raise_on_bad, headings_deg=headings_deg
                )
            finally:
                store.write_credits(journal, root)
            if columns:
                print(columns.line())
            print("\n".join(_report(options, tally, journal, placed, len(cells))))
            program.print_next(f"python -m tools.check_tree --tree={options.out}")
    finally:
        if refused:
            mine.remove()


def _source_hint(source: str) -> str:
    """Says what to name as source."""
    is_table = pathlib.Path(source).suffix.lower() in (".csv", ".tsv")
    return f"name the folder of its images, and the table by --csv={source}" if is_table else "name a folder of images"


def _columns_of(options: Options) -> "table_columns.Columns | None":
    """Returns the columns of the table, None if there is none."""
    from geods.imagery.photos import table_columns

    return table_columns.find(pathlib.Path(options.csv), options.wanted_columns()) if options.csv else None


def _scan(
    options: Options,
    source: pathlib.Path,
    columns: "table_columns.Columns | None",
    cells: "partitions.Partition",
    journal: "import_journal.Journal",
) -> "scan.Tally":
    """Looks at the whole source, with a bar on stderr.

    Raises:
        CoordinateError: If nothing in it has a position.
    """
    import tqdm

    from geods.imagery.photos import exif, scan, sidecars, table
    from geods.tree import companions

    found: Iterable[photo.Photo | photo.Skipped]
    beside = sidecars.Sidecars(source, pathlib.Path(options.gpx) if options.gpx else None, options.clock_offset_s)
    if columns:
        found = table.photos(pathlib.Path(options.csv), source, columns)
    else:
        note = pathlib.Path(options.out, companions.CREDITS_NAME)
        last_s = note.stat().st_mtime if note.is_file() else 0.0

        def known(file: str) -> bool:
            # One that was changed since may be elsewhere now, which the journal refuses.
            return journal.has(file) and (source / file).lstat().st_mtime <= last_s

        found = exif.photos(source, known, beside.fill)
    bar = tqdm.tqdm(_credited(found, options, columns), desc="looking", unit=" rows" if columns else " files")
    on_bad_row = {"bad_row": options.on_bad_row, "swapped": options.on_bad_row}
    policies = on_bad_row | {"bad_image": options.on_bad_image, "outside": options.outside}
    tally = scan.scan(
        bar,
        cells,
        journal,
        same_place_m=options.same_place_m,
        raise_on={reason for reason, policy in policies.items() if policy == "raise"},
        swap_hint=columns.swap_hint if columns else _EXIF_SWAP_HINT,
        names_at_most=max(options.names, 1),
    )
    tally.on_track, tally.without_zone = beside.on_track, beside.without_zone
    if options.on_bad_row == "some":
        tally.check_fraction(("bad_row", "swapped"), options.max_bad_fraction)
    if not tally.found and not tally.noted:
        left_out = "; ".join(f"{_LEFT_OUT[reason]}: {number:,}" for reason, number in tally.numbers.items())
        examples = [name for names in tally.examples.values() for name in names[:1]]
        problem = f"{options.csv or source}: holds no photograph with a position ({left_out or 'no image at all'})."
        raise errors.CoordinateError("\n  ".join([problem, *examples]), _nothing_hint(options, columns))
    return tally


def _nothing_hint(options: Options, columns: "table_columns.Columns | None") -> str:
    """Says what to do if no photograph was found."""
    if columns:
        step = f"give --source the folder that holds the images of column {columns.name('file')!r}"
        return f"{step}, or name another column: --file_column=NAME"
    if options.gpx:
        return "name the track of that time; --clock_offset_s=3600 if the camera's clock is an hour ahead of UTC"
    return "name a folder of JPEGs with GPS positions, or a table of positions: --csv=FILE"


def _credited(
    found: "Iterable[photo.Photo | photo.Skipped]", options: Options, columns: "table_columns.Columns | None"
) -> "Iterator[photo.Photo | photo.Skipped]":
    """Fills in creator and licence where they are not known."""
    from geods.imagery.photos import photo

    licence = _licence(options, columns)
    for item in found:
        if isinstance(item, photo.Photo):
            creator = item.creator or options.creator
            yield dataclasses.replace(item, creator=creator, licence=item.licence or licence)
        else:
            yield item


def _source_name(source: pathlib.Path, columns: "table_columns.Columns | None") -> str:
    """Returns what the dataset calls the source."""
    return "OSV-5M (Mapillary)" if columns and columns.is_osv5m else f"photographs of {source.resolve().name}"


def _licence(options: Options, columns: "table_columns.Columns | None") -> str:
    """Returns the licence of photographs that do not say theirs.

    Empty if it is not known.
    """
    from geods.imagery.photos import table_columns

    return options.licence or (table_columns.OSV5M_LICENCE if columns and columns.is_osv5m else "")


def _report(
    options: Options, tally: "scan.Tally", journal: "import_journal.Journal", placed: "store.Placed", cell_count: int
) -> list[str]:
    """Returns the lines on what was done."""
    from geods.tree import jpeg

    counts = journal.counts()
    lines = []
    for reason, meaning in _LEFT_OUT.items():
        if number := tally.numbers[reason]:
            lines += _named(f"{meaning}: {number:,}", tally.examples[reason][: options.names], number)
    for state, meaning in _STATES.items():
        if number := counts[state]:
            lines += _named(f"{meaning}: {number:,}", journal.problems(state, options.names), number)
    if placed.gone:
        title = f"not in the source any more: {len(placed.gone):,}"
        lines += _named(title, list(placed.gone[: options.names]), len(placed.gone))
    if tally.on_track:
        zones = f", {tally.without_zone:,} of them by a clock without time zone, taken for UTC (--clock_offset_s)"
        is_guess = tally.without_zone and not options.clock_offset_s
        lines.append(f"placed by the track: {tally.on_track:,}{zones if is_guess else ''}")
    if tally.magnetic:
        lines.append(f"headings from magnetic north, kept as they are: {tally.magnetic:,}")
    lines += jpeg.turned_line(placed.turned)
    if placed.panoramas:
        headings = ", ".join(f"{heading:g}" for heading in options.headings_deg())
        lines.append(f"panoramas, views cut at {headings} degrees: {placed.panoramas:,}")
    there = counts["placed"] - placed.images
    lines.append(f"{options.out}: {placed.images:,} images imported, {there:,} were there")
    lines.append(
        f"  {counts['locations']:,} locations, {counts['placed']:,} views, in {counts['cells']} of {cell_count} cells"
    )
    return lines


def _named(title: str, names: list[str], number: int) -> list[str]:
    """Returns a title and its first examples."""
    rest = [f"  and {number - len(names):,} more"] if names and number > len(names) else []
    return [title, *(f"  {program.printable(name.removesuffix('.'))}" for name in names), *rest]


if __name__ == "__main__":
    program.run(Options, main)

"""Copies images from any layout to the standard tree or a report's layout.

    python -m tools.convert_tree --source=SOURCE --out=TREE --partition=partition.geojson

The bytes are copied as they are, never encoded again. Cells are numbered by the partition from the coordinates (-1
outside every cell); without a partition the source's numbers stay. Lists of the report's split are copied with the new
names; --test_share=0.05 draws such lists: 27,702 and 1,458 of the report's 29,160 images. The same command resumes an
interrupted run; an existing file with other bytes is never replaced. 3,000 images of 25 kB take 3 s. The last lines
count the images that were copied and their cells.

    python -m tools.convert_tree --source=TREE --to=geoguessr --out=map.json
    python -m tools.convert_tree --source=RUN --to=geoguessr --worst=50 --out=worst.json

write a GeoGuessr map (customCoordinates): of the locations of a tree, with their panorama ids where views.csv has them;
or of the 50 locations that an evaluated run missed by most. tools.scrape --points reads such a map.
"""

import dataclasses
import pathlib
from typing import Any, Literal

from geods import errors
from geods.cli import flags, program
from geods.storage import files


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the conversion."""

    source: str = flags.option("", "Folder of images in any layout, or a CSV file.", path="in")
    out: str = flags.option("", "Folder to write to, or with --to=geoguessr a file; made if need be.", path="out")
    to: Literal["tree", "combined_files", "combined_folders", "geoguessr"] = flags.option(
        "tree", "Layout to write, or a GeoGuessr map."
    )
    worst: int = flags.option(0, "With --to=geoguessr and a run: how many of its worst misses; 0 for a tree.")
    layout: Literal["auto", "tree", "combined_files", "combined_folders", "csv"] = flags.option(
        "auto", "Layout of the source; auto recognises it by the names."
    )
    partition: str = flags.option(
        "", "Partition that numbers the cells; the source's numbers stay if empty.", path="in"
    )
    test_share: float = flags.option(
        0.0, "Share of the images in testFiles.npy, beside trainFiles.npy; 0 for no lists."
    )
    seed: int = flags.option(0, "Seed of the lists of --test_share.")

    def __post_init__(self) -> None:
        flags.check_given(self, source="name a folder: --source=FOLDER", out="name a folder: --out=FOLDER")
        if self.worst < 0 or (self.worst and self.to != "geoguessr"):
            raise errors.OptionError(f"--worst={self.worst}: is for --to=geoguessr, 1 or more.", "leave it out")
        if self.to == "geoguessr":
            if pathlib.Path(self.out).is_dir():
                raise errors.OptionError(f"--out={self.out}: is a folder.", "name the file to write: --out=map.json")
            return
        files.check_apart(self.out, self.source)
        if not 0 <= self.test_share < 1:
            raise errors.OptionError(f"--test_share={self.test_share}: is not a share.", "give 0 to 1, such as 0.05")


def main(options: Options) -> None:
    """Copies the images, or writes a map, and prints a summary."""
    if options.to == "geoguessr":
        from geods.storage import files

        coordinates = _worst_misses(options.source, options.worst) if options.worst else _locations(options)
        files.write_json(options.out, {"name": pathlib.Path(options.out).stem, "customCoordinates": coordinates})
        print(f"{len(coordinates):,} locations written to {options.out}")
        return
    from geods.dataset import split_lists
    from geods.geo import partition as partitions
    from geods.tree import companions, labelling, layouts, tree_copies

    locations = layouts.read(options.source, options.layout)
    cells = partitions.read(options.partition) if options.partition else None
    numbers = tree_copies.cell_numbers(locations, cells)
    out = pathlib.Path(options.out)
    lists = split_lists.find(companions.TreeFolder(options.source), locations)
    if options.test_share:
        if lists is not None:
            problem = f"--test_share={options.test_share}: the source has lists, {lists.path} and its test list."
            raise errors.OptionError(problem, "leave it out to copy them, or move them away")
        lists = split_lists.draw(locations, options.test_share, options.seed)
    source = pathlib.Path(options.source)
    folder = source.parent if source.is_file() else source
    names = tree_copies.names_in(locations, numbers, options.to, folder)
    copied = tree_copies.copy_images(names, folder, out)
    if lists is not None:
        split_lists.write(out, lists, dict(zip(locations.ids, numbers, strict=True)))
    tree_copies.copy_companions(source, options.partition, out, names)
    there = locations.views - copied
    print(f"{len(locations):,} locations: {copied:,} images copied to {out}, {there:,} were there")
    for line in labelling.number_line(locations) + layouts.unnamed_line(options.source, locations):
        print(f"  {line}")
    if cells is not None:
        print(labelling.summary(labelling.label(locations, cells), len(cells)))
    if lists is not None:
        drawn = f"drawn with --seed={options.seed}" if options.test_share else f"from {lists.path}"
        counts = f"{split_lists.TRAIN_NAME} ({len(lists.train):,}) and {split_lists.TEST_NAME} ({len(lists.test):,})"
        print(f"  split lists: {counts}, {drawn}")


def _locations(options: Options) -> list[dict[str, Any]]:
    """Returns the coordinates of a tree's locations, with headings of first views."""
    from geods.tree import companions, layouts

    table = pathlib.Path(options.source, companions.VIEWS_NAME)
    rows = companions.rows(table) if table.is_file() else ()
    pano_ids = {layouts.split_name(row["file"])[0]: row["pano_id"] for row in rows if row.get("pano_id")}
    return [
        _coordinate(one.lat_deg, one.lon_deg, one.views[0].heading_deg or 0.0)
        | ({"panoId": pano_ids[one.location_id]} if one.location_id in pano_ids else {})
        for one in layouts.read(options.source, options.layout)
    ]


def _worst_misses(run_dir: str, count: int) -> list[dict[str, Any]]:
    """Returns the coordinates that a run missed by most, the worst first."""
    from trainers.runs import predictions

    found = predictions.read(run_dir, len(predictions.read_partition(run_dir)))
    worst = found[predictions.by_distance(found)[::-1][:count]]
    return [
        _coordinate(*one.truth, 0.0) | {"extra": {"tags": [f"missed by {one.distance_km:,.0f} km"]}} for one in worst
    ]


def _coordinate(lat_deg: float, lon_deg: float, heading_deg: float) -> dict[str, Any]:
    """Returns an entry of customCoordinates."""
    return {"lat": lat_deg, "lng": lon_deg, "heading": heading_deg, "pitch": 0, "zoom": 0}


if __name__ == "__main__":
    program.run(Options, main)

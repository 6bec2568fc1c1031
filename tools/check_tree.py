"""Prints the contents and problems of an imagery tree.

    python -m tools.check_tree --tree=TREE --partition=partition.geojson

Locations, views, headings, image sizes, dates, cells covered, folder numbers that disagree with the coordinates,
locations outside every cell, bad images, and images with the same bytes. Every image is decoded and, where the tree has
hashes (from a scrape, an import, or --record), compared with what was recorded: 3,000 images of 600 x 300 and 400 x 200
pixels take 3 s on 2 cores. The exit code is 2 if an image is bad or no location lies in the partition. Nothing is
changed, but --on_bad_image=quarantine moves bad images out of the tree into TREE.quarantine, each with a file that
holds the reason, and --record writes TREE/images.sha256, so that later damage is found.
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Literal

from geods import errors
from geods.cli import flags, program
from geods.remote import urls

if TYPE_CHECKING:
    from geods.tree import companions, table


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the check."""

    tree: str = flags.option("", "Imagery tree, in any layout.", path="may")
    partition: str = flags.option("", "Partition file; empty: the tree's, or $GEODS_PARTITION.", path="in")
    layout: Literal["auto", "tree", "combined_files", "combined_folders", "csv"] = flags.option(
        "auto", "Layout of the tree; auto recognises it by the names."
    )
    names: int = flags.option(5, "Most names to print for each kind of problem.")
    on_bad_image: Literal["raise", "skip", "quarantine"] = flags.option(
        "raise", "What bad images are: an error, skipped, or moved to TREE.quarantine."
    )
    max_bad_fraction: float = flags.option(0.01, "Share of bad images above which there is an error in any case.")
    record: bool = flags.option(False, "Whether to write the SHA-256 of every good image to TREE/images.sha256.")

    def __post_init__(self) -> None:
        from geods.tree import bad_images

        flags.check_given(self, tree="name an imagery tree: --tree=TREE")
        if self.names < 0:
            raise errors.OptionError(f"--names={self.names}: is below 0.", "give 0 or more")
        bad_images.Policy(self.on_bad_image, self.max_bad_fraction)
        if self.record and not urls.is_url(self.tree) and not pathlib.Path(self.tree).is_dir():
            raise errors.OptionError(f"--record: {self.tree} is no folder.", "name the folder of a tree")


def main(options: Options) -> None:
    """Prints the report."""
    from geods.dataset import recorded_hashes, tree_report
    from geods.geo import partition as partitions
    from geods.tree import bad_images, companions, jpeg, labelling, layouts, table

    tree = companions.TreeFolder(options.tree)
    locations = layouts.read(options.tree, options.layout)
    cells_path = _partition_path(options, tree)
    cells = partitions.read(cells_path) if cells_path else None
    facts = recorded_hashes.compare(tree, table.ImageTable(jpeg.checked(locations.paths), locations))
    print(f"tree {options.tree}")
    print("\n".join(f"  {line}" for line in tree_report.contents(locations, facts)))
    print("".join(f"  {line}\n" for line in layouts.unnamed_line(options.tree, locations)), end="")
    if cells is None:
        print("partition: none found, so cells were not checked; give one by --partition=PATH")
    else:
        print(f"partition {cells_path}")
        print("\n".join(tree_report.cell_lines(labelling.label(locations, cells), len(cells), options.names)))
    print("\n".join(tree_report.problems(facts, tree, options.names)))
    policy = bad_images.Policy(options.on_bad_image, options.max_bad_fraction)
    bad_images.settle(facts.bad(), len(facts), tree, policy, "replace or delete them; --names=N lists more")
    if options.record:
        _record(options.tree, facts)
    program.print_next(f"python -m tools.build_dataset --manual_dir={options.tree} --data_dir=data")


def _record(root: str, facts: "table.ImageTable") -> None:
    """Writes the hashes of the good images."""
    from geods.storage import checksums

    path = pathlib.Path(root, checksums.NAME)
    good = {fact.name_below(root): fact.sha256 for fact in facts if not fact.problem}
    checksums.write(path, good)
    print(f"wrote {path}: {len(good):,} images")


def _partition_path(options: Options, tree: "companions.TreeFolder") -> pathlib.Path | None:
    """Returns the partition to check against, None if there is none."""
    if options.partition:
        return pathlib.Path(options.partition)
    try:
        return tree.find_partition()
    except errors.MissingFileError:
        return None


if __name__ == "__main__":
    program.run(Options, main)

"""Copies images from any layout to the standard tree or a report's layout.

    python -m tools.convert_tree --source=SOURCE --out=TREE --partition=partition.geojson

The bytes are copied as they are, never encoded again. Cells are numbered by the partition from the coordinates (-1
outside every cell); without a partition the source's numbers stay. Lists of the report's split are copied with the new
names; --test_share=0.05 draws such lists: 27,702 and 1,458 of the report's 29,160 images. The same command resumes a
run that was cut off; an existing file with other bytes is never replaced. 3,000 images of 25 kB take 3 s. The last
lines count the images that were copied and their cells.
"""

import dataclasses
import pathlib
from typing import Literal

from geods import errors
from geods.cli import flags, program


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the conversion."""

    source: str = flags.option("", "Folder of images in any layout, or a CSV file.", path="in")
    out: str = flags.option("", "Folder to write to; made if need be.", path="out")
    to: Literal["tree", "combined_files", "combined_folders"] = flags.option("tree", "Layout to write.")
    layout: Literal["auto", "tree", "combined_files", "combined_folders", "csv"] = flags.option(
        "auto", "Layout of the source; auto looks at the names."
    )
    partition: str = flags.option(
        "", "Partition that numbers the cells; the source's numbers stay if empty.", path="in"
    )
    test_share: float = flags.option(
        0.0, "Write trainFiles.npy and testFiles.npy with this share of the images in test; the report's is 0.05."
    )
    seed: int = flags.option(0, "Seed of these lists.")

    def __post_init__(self) -> None:
        for name, value in (("source", self.source), ("out", self.out)):
            if not value:
                raise errors.OptionError(f"--{name}: is empty.", f"name a folder: --{name}=FOLDER")
        source, out = pathlib.Path(self.source).resolve(), pathlib.Path(self.out).resolve()
        if source == out or source in out.parents or out in source.parents:
            raise errors.OptionError(f"--out={self.out}: is the source, inside it or around it.", "name another folder")
        if not 0 <= self.test_share < 1:
            raise errors.OptionError(f"--test_share={self.test_share}: is not a share.", "give 0 to 1, such as 0.05")


def main(options: Options) -> None:
    """Copies the images and prints a summary."""
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
    copied = tree_copies.copy_images(locations, numbers, options.to, out)
    if lists is not None:
        split_lists.write(out, lists, dict(zip(locations.ids, numbers, strict=True)))
    source = pathlib.Path(options.source)
    names = tree_copies.names_in(locations, numbers, options.to, source)
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


if __name__ == "__main__":
    program.run(Options, main)

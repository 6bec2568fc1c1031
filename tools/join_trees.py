"""Joins several imagery trees into one, such as own photographs and scraped ones.

    python -m tools.join_trees --out=BOTH --partition=partition.geojson SCRAPED OWN

Every image is decoded and compared with recorded hashes, then copied byte for byte (--link makes hard links). BOTH is a
standard tree: tfds build, tools.check_tree, tools.predict and trainers.evaluate --imagery read it as any other. Source
and licence stay with each location, in BOTH/views.csv and in the dataset. A location that is in several trees keeps
the views of all; of images with the same bytes, the first. The same command resumes an interrupted join, and adds
what is new in the trees, or new trees. 3,000 images of 25 kB take 5 s.
"""

import dataclasses
import pathlib

from geods import errors
from geods.cli import flags, program
from geods.storage import files


@dataclasses.dataclass(frozen=True)
class Options:
    """Trees to join."""

    out: str = flags.option("", "Folder of the joined tree; made if need be.", path="out")
    partition: str = flags.option("", "Partition file; the one of all trees if empty.", path="in")
    link: bool = flags.option(False, "Whether to make hard links instead of copies.")
    trees: tuple[str, ...] = flags.positional("TREE", "Imagery trees in any layout.", path="in")

    def __post_init__(self) -> None:
        """Checks the values."""
        flags.check_given(self, out="name a folder: --out=FOLDER")
        roots = [pathlib.Path(tree).resolve() for tree in self.trees]
        if len(set(roots)) < 2 or len(set(roots)) < len(roots):
            problem = f"{', '.join(self.trees) or 'no tree'}: a join takes two or more different trees."
            raise errors.OptionError(problem, f"python -m tools.join_trees --out={self.out} TREE OTHER_TREE")
        for tree in self.trees:
            files.check_apart(self.out, tree, f"the tree {tree}")


def main(options: Options) -> None:
    """Joins the trees and prints a summary."""
    from geods.dataset import tree_joins
    from geods.geo import partition as partitions
    from geods.storage import locks

    roots, out = [pathlib.Path(tree) for tree in options.trees], pathlib.Path(options.out)
    cells_path = pathlib.Path(options.partition) if options.partition else tree_joins.common_partition(roots)
    cells = partitions.read(cells_path)
    parts = [tree_joins.read(root, cells) for root in roots]
    join = tree_joins.Join(out, parts)
    with locks.folder(out, errors.TreeError, "name another --out"):
        join.write(cells_path, options.link)
    print(f"tree {out}: {join.images:,} images, {join.copied:,} of them new")
    for part in parts:
        about, locations = part.tree.provenance(), part.labels.locations
        print(f"  {part.tree.root}: {len(locations):,} locations, {locations.views:,} images")
        print(f"    {program.printable(about.source)}; licence: {program.printable(about.licence)}")
        if part.labels.outside:
            print(f"    outside every cell, in folder -1: {len(part.labels.outside):,} locations")
    if join.shared or join.twins:
        print(f"  in several trees: {join.shared:,} locations; images with the bytes of another: {join.twins:,}")
    program.print_next(f"python -m tools.check_tree --tree={options.out}")


if __name__ == "__main__":
    program.run(Options, main)

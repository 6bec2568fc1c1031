"""Looks for leaks: near neighbours, shared images and dates across splits.

    python -m tools.audit --data_dir=data
    python -m tools.audit --data_dir=data --tree=tree --out=audit.json

Prints, for validation and test: how far each place is from the nearest training place, the share with an image or a
panorama (from the tree's views.csv) that is in training too, and how well places are guessed from the capture date
alone. Reads the dataset once without decoding; 1,000 places take 5 s. --out writes the same as JSON.
"""

import csv
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from geods import errors
from geods.cli import flags, program
from geods.storage import files

if TYPE_CHECKING:
    pass


@dataclasses.dataclass(frozen=True)
class Options:
    """Dataset and tree to audit."""

    data_dir: str = flags.option("data", "Folder given to tfds build as --data_dir.", path="in")
    config: str = flags.option("blocked", "Config of the dataset.")
    tree: str = flags.option("", "Imagery tree it was built of, whose views.csv names panoramas.", path="in")
    out: str = flags.option("", "JSON file to write.", path="out")


def main(settings: Options) -> None:
    """Prints the audit."""
    from trainers.evaluation import leakage

    program.import_quietly("tensorflow")
    from geods.dataset import dataset_reader, splits

    builder = dataset_reader.open_builder(settings.data_dir, settings.config)
    panoramas = _panoramas(settings.tree)
    train = leakage.read(builder, splits.TRAIN, panoramas)
    cells = dataset_reader.partition_of(builder)
    found = {}
    for split in (splits.VALIDATION, splits.TEST):
        if split in builder.info.splits and len(held := leakage.read(builder, split, panoramas)):
            dates = leakage.by_date(held, train, cells)
            found[split] = {
                "locations": len(held),
                **leakage.neighbours(held, train),
                **leakage.shared(held, train),
                "by_date": dates,
            }
            _tell(split, found[split])
    if settings.out:
        files.write_json(settings.out, {"dataset": dataset_reader.fingerprint_of(builder), **found})
        print(f"wrote {settings.out}")


def _panoramas(tree_dir: str) -> dict[str, frozenset[str]]:
    """Reads views.csv of a tree; nothing without a tree.

    Raises:
        MissingFileError: If the tree has none.
    """
    if not tree_dir:
        return {}
    path = files.check_file(pathlib.Path(tree_dir, "views.csv"), "only trees that tools.scrape made have one")
    with open(path, newline="", encoding="utf-8") as source:
        try:
            from trainers.evaluation import leakage

            return leakage.panoramas_by_location(list(csv.DictReader(source)))
        except (KeyError, IndexError, csv.Error) as error:
            problem = f"{path}: is not a table of views ({type(error).__name__}: {error})."
            raise errors.TreeError(problem, "name the tree itself, or leave --tree out") from error


def _tell(split: str, found: dict[str, Any]) -> None:
    """Prints the audit of a split."""
    print(f"{split}: {found['locations']:,} locations")
    quantiles = ", ".join(f"{share} {km:,.1f}" for share, km in found["nearest_km"].items())
    print(f"  nearest training place, km: {quantiles}")
    print("  share within: " + ", ".join(f"{limit} km {share:.1%}" for limit, share in found["within_km"].items()))
    same = found["same_panorama"]
    print(f"  an image of the same bytes in training: {found['same_bytes']:.1%}")
    print(f"  a panorama that is in training: {'not known; give --tree' if same is None else f'{same:.1%}'}")
    if dates := found["by_date"]:
        low, high = dates["difference_interval"]
        miles = f"{dates['mean_miles']:,.1f} mean miles, a constant {dates['constant_mean_miles']:,.1f}"
        print(f"  by capture date alone: {miles} (difference {low:+,.1f} to {high:+,.1f})")
    else:
        print("  by capture date alone: no dates")


if __name__ == "__main__":
    program.run(Options, main)

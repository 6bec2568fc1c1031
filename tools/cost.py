"""Estimates the cost of a dataset of many images: bytes, hours, dollars.

    python -m tools.cost --images=10000000

The rates are those docs/scale.md measured on 2 cores, the prices are assumptions: give yours. Assumes that workers
share the work evenly, which holds for Beam's parts of the same size, and that storage is as fast as they are, which is
not measured here. Prints a table in which each figure stands with the numbers it is computed from, then the
assumptions.
"""

import dataclasses

from geods.cli import flags, program
from tools.benchmarks import results

_GB, _HOUR_S = 1e9, 3600


@dataclasses.dataclass(frozen=True)
class Options:
    """Images, rates and prices.

    A machine has 2 cores.
    """

    images: int = flags.option(10_000_000, "Number of images.")
    image_kb: float = flags.option(28.0, "Size of an image, kB; the mean of 30 Street View images of 600x300.")
    feature_kb: float = flags.option(2.56, "Size of an image's features, kB; MobileNetV2, pooled, in float16.")
    build_images_per_s: float = flags.option(228.0, "Images built a second; 2,970 in 13 s, start included.")
    extract_images_per_s: float = flags.option(45.0, "Images encoded a second; MobileNetV2, 200x400, float32.")
    accelerator_images_per_s: float = flags.option(0.0, "Images an accelerator encodes a second; 0 for none.")
    machines: int = flags.option(16, "Number of machines, and of accelerators for the encoding.")
    machine_usd_per_h: float = flags.option(0.10, "Price of a machine, USD an hour.")
    accelerator_usd_per_h: float = flags.option(2.0, "Price of an accelerator, USD an hour.")
    storage_usd_per_gb_month: float = flags.option(0.02, "Price of storage, USD a GB and month.")

    def __post_init__(self) -> None:
        """Checks that there is something to count and nothing is divided by 0."""
        flags.check_at_least(self, 1, ("images", "machines"))
        flags.check_at_least(self, 1e-9, ("build_images_per_s", "extract_images_per_s"))
        names = ("image_kb", "feature_kb", "accelerator_images_per_s", "machine_usd_per_h", "accelerator_usd_per_h")
        flags.check_at_least(self, 0, (*names, "storage_usd_per_gb_month"))


def main(settings: Options) -> None:
    """Prints the table and the assumptions."""
    print(f"{settings.images:,} images, {settings.machines} machines")
    print(results.table(["what", "amount", "USD"], rows(settings)))
    print("computed from:")
    for field in dataclasses.fields(Options):
        print(f"  {field.name} = {getattr(settings, field.name):,}: {field.metadata['help']}")


def rows(settings: Options) -> list[list[str]]:
    """Returns the lines of the table: item, amount, dollars."""
    tree_gb = settings.images * settings.image_kb * 1000 / _GB
    features_gb = settings.images * settings.feature_kb * 1000 / _GB
    found = [
        # The tree and the dataset hold the same bytes; the dataset's other fields are under 1 % of them.
        _stored("imagery tree, a month", tree_gb, settings),
        _stored("dataset, a month", tree_gb, settings),
        _stored("features, a month", features_gb, settings),
        _worked("build", settings.build_images_per_s, settings.machine_usd_per_h, settings),
        _worked("extract on CPUs", settings.extract_images_per_s, settings.machine_usd_per_h, settings),
    ]
    if settings.accelerator_images_per_s:
        rate, price = settings.accelerator_images_per_s, settings.accelerator_usd_per_h
        found.append(_worked("or extract on accelerators", rate, price, settings))
    return found


def _stored(what: str, size_gb: float, settings: Options) -> list[str]:
    """Returns the line of bytes that are kept."""
    return [what, f"{size_gb:,.0f} GB", f"{size_gb * settings.storage_usd_per_gb_month:,.2f}"]


def _worked(what: str, rate: float, usd_per_h: float, settings: Options) -> list[str]:
    """Returns the line of work that is shared out."""
    hours = settings.images / rate / _HOUR_S
    return [what, f"{hours:,.1f} machine hours, {hours / settings.machines:,.1f} h", f"{hours * usd_per_h:,.2f}"]


if __name__ == "__main__":
    program.run(Options, main)

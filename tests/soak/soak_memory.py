"""Soak of memory estimates against the memory used; `make soak` runs it.

    python tests/soak/soak_memory.py --places=3000

Each row is a process of its own that does the work: batches of images with all JPEGs of a dataset shuffled at once, the
fit of a kernel regression, and the places that nearest neighbours remember. Prints the estimate, by which a training is
refused, and how much more memory the process held at its peak than before. Ends with an error if more was used than
said, but for 64 MB that TensorFlow takes for itself. 3 minutes and 3 GB of memory.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile

import _support_path  # noqa: F401 - before the modules it makes known
import drawn_trees
import road

# TensorFlow's own: threads, graphs, and what its allocator keeps.
_SLACK_MB = 64
_SHAPE, _WIDE = (7, 13, 32), (20_480,)


def _peak_mb() -> float:
    """Returns the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def of_images(folder: pathlib.Path, places: int) -> tuple[float, float]:
    """Reads an epoch of images; returns the estimate and the use, MB."""
    import drawn_datasets

    from geods.cli import flags as cli_flags
    from geods.dataset import dataset_reader
    from geods.geo import partition
    from geods.input import pipeline
    from trainers.options import train_options
    from trainers.training import inputs

    tree = drawn_trees.write(folder / "tree", drawn_trees.location_ids(places // 10))
    for number, path in enumerate(sorted(tree.rglob("*.jpg"))):
        path.write_bytes(drawn_trees.jpeg(number % 20, 300, 600))
    partition.write(drawn_trees.cells(), tree / "partition.geojson")
    drawn_datasets.build(tree, folder / "data", "random")
    settings = cli_flags.build(
        train_options.TrainOptions, data_dir=str(folder / "data"), config="random", height_px=300, width_px=600
    )
    builder = dataset_reader.open_builder(folder / "data", "random")
    estimate = inputs.needed_bytes(settings.data, (300, 600), builder, "train", 3)
    small = pipeline.PipelineOptions(300, 600, batch_size=1)
    next(iter(pipeline.batches(builder, "test", small)))
    before_mb = _peak_mb()
    split = inputs.from_images(settings.data, (300, 600), "train", drawn_trees.cells(), train=True, run=settings.run)
    for _ in split.inputs:
        pass
    return estimate / 1e6, _peak_mb() - before_mb


def of_kernel(folder: pathlib.Path, places: int) -> tuple[float, float]:
    """Fits a kernel regression; returns the estimate and the use, MB."""
    from trainers.training import fitted_heads

    return _fitted("kernel", _SHAPE, places, lambda cells: fitted_heads.kernel_bytes(places, _SHAPE, cells))


def of_neighbours(folder: pathlib.Path, places: int) -> tuple[float, float]:
    """Fits k-NN; returns the estimate and the use, MB."""
    from trainers.training import fitted_heads

    return _fitted("neighbours", _WIDE, places, lambda cells: fitted_heads.neighbours_bytes(places, _WIDE))


def _fitted(head: str, shape: tuple[int, ...], places: int, estimate) -> tuple[float, float]:
    """Makes the features of some places and fits a head on them."""
    import numpy as np

    from model.encoders import backbones
    from trainers.options import train_options
    from trainers.training import fitted_heads, inputs

    cells, rng = drawn_trees.cells(), np.random.default_rng(0)
    coords = np.column_stack([rng.uniform(30, 48, places), rng.uniform(-120, -70, places)])
    truth = np.column_stack([coords, np.zeros(places)]).astype(np.float32)
    head_options = train_options.HeadOptions(head=head, most_places=places)

    def fit(count: int) -> None:
        split = inputs.Split(_Drawn(truth[:count], shape), [], coords, truth[:, 2], count, "", None)
        fitted_heads.classifier_of(head_options, backbones.BackboneSpec(), shape, cells, split)

    fit(64)
    before_mb = _peak_mb()
    fit(places)
    return estimate(len(cells)) / 1e6, _peak_mb() - before_mb


class _Drawn:
    """Batches of random features."""

    def __init__(self, truth, shape: tuple[int, ...]) -> None:
        self._truth, self._shape = truth, shape

    def __len__(self) -> int:
        return -(-len(self._truth) // 64)

    def __getitem__(self, number: int):
        import numpy as np

        truth = self._truth[64 * number : 64 * number + 64]
        features = np.random.default_rng(number).random((len(truth), 3, *self._shape), dtype=np.float32)
        return {"features": features, "view_mask": np.ones((len(truth), 3), bool)}, truth


PARTS = {"images": of_images, "kernel": of_kernel, "neighbours": of_neighbours}


def main() -> None:
    """Runs each part in a process of its own, and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--places", type=int, default=3000)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    sizes = parser.parse_args()
    if sizes.inside:
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(PARTS[sizes.part](pathlib.Path(scratch), sizes.places)))
        return
    for part in sizes.part.split(","):
        command = [sys.executable, *sys.argv, f"--part={part}", "--inside"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=road.REPO)
        estimate_mb, used_mb = json.loads(done.stdout.splitlines()[-1])
        print(f"{part}: {estimate_mb:,.0f} MB said, {used_mb:,.0f} MB used", flush=True)
        if used_mb > estimate_mb + _SLACK_MB:
            sys.exit(f"{part}: more was used than was said")


if __name__ == "__main__":
    main()

"""Measures fitting recipe best on many locations with simulated features.

    python -m tools.benchmark_kernel --locations=100000

Fits recipe best as trainers.train does, on second moments drawn in the shape of features textures (two sizes and two
regions of 96 channels): sample covariances whose spectra follow smooth random functions of the location, under noise
that makes the error that of real roads. Then predicts --test other locations. Prints seconds, peak memory and mean
miles, and appends a line of JSON to WORK_DIR/kernel.jsonl. With --most_places below --locations all are fitted on 5,000
kernels, else they are solved exactly; docs/scale.md has both.
"""

import dataclasses
import pathlib
import resource
import time
from typing import Any

from geods.cli import flags, program

# The box of tools.benchmark_scale.
_SOUTH, _NORTH, _WEST, _EAST = 30.0, 48.0, -120.0, -70.0
_CHANNELS, _MATRICES, _PIXELS = 96, 4, 96
_BATCH = 256
# Random functions of 500 km a radian, and twice as much that is the location's own: 1,000 locations then err by about
# 420 miles, as the 990 of the leaderboard do (434).
_WAVES, _WAVE_KM, _NOISE = 64, 500.0, 2.0


@dataclasses.dataclass(frozen=True)
class Options:
    """Size of the training."""

    locations: int = flags.option(10_000, "Training locations.")
    most_places: int = flags.option(10_000, "As in trainers.train: most locations solved exactly.")
    test: int = flags.option(2000, "Locations to predict, none of them in training.")
    work_dir: str = flags.option("benchmark", "Folder for the results.", path="out")

    def __post_init__(self) -> None:
        """Checks the numbers."""
        flags.check_at_least(self, 100, ("locations", "test"))


def main(settings: Options) -> None:
    """Fits, predicts and prints."""
    import shapely

    from geods.geo import boundary, fishnet
    from geods.tree import string_array
    from model.encoders import backbones
    from tools.benchmarks import results
    from trainers.options import train_options
    from trainers.training import fit, inputs

    cells = fishnet.make(boundary.Boundary(shapely.box(_WEST, _SOUTH, _EAST, _NORTH), "", "box"), 1.0)
    recipe = program.recipe_path("best")
    words = (f"--most_places={settings.most_places}", "--cache_dir=drawn")
    head = flags.from_flagfile(train_options.TrainOptions, recipe, *words).head
    train, test = Drawn(settings.locations, 1, _BATCH), Drawn(settings.test, 2, _BATCH)
    labels = cells.label(*train.coords.T)
    split = inputs.Split(train, string_array.Texts.of(()), train.coords, labels, settings.locations)
    spec = backbones.BackboneSpec("mobilenet_v2", "random", "", "moments", 300, 600, more_heights_px=(200,))
    started_s = time.perf_counter()
    classifier = fit.classifier_of(head, "", spec, (train.width,), cells, split)
    seconds = time.perf_counter() - started_s
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    miles = _mean_miles(classifier, fit.decoder_of(head, cells), test)
    line: dict[str, Any] = {"benchmark": "kernel", "locations": settings.locations, "most_places": settings.most_places}
    line |= {"seconds": seconds, "drawing_s": train.seconds, "peak_gb": peak_gb, "mean_miles": miles}
    results.append(pathlib.Path(settings.work_dir, "kernel.jsonl"), [line])
    print(
        f"{settings.locations:,} locations: {seconds:,.0f} s, of which {train.seconds:,.0f} s drew textures; "
        f"{peak_gb:.2f} GB at most; {miles:.1f} mean miles of {settings.test:,} others"
    )


class Drawn:
    """Batches of drawn textures, one view a location, as of `inputs.Split`.

    Attributes:
        coords: `[n, 2]` degrees, (lat, lon).
        width: Values of a texture.
        seconds: Spent drawing so far.

    Args:
        count: Locations.
        seed: Of locations and noise; the random functions are the same for all.
        batch_size: Locations a batch.
    """

    def __init__(self, count: int, seed: int, batch_size: int) -> None:
        import numpy as np

        self._seed, self._batch_size, self.seconds = seed, batch_size, 0.0
        rng = np.random.default_rng(seed)
        self.coords = rng.uniform((_SOUTH, _WEST), (_NORTH, _EAST), (count, 2)).round(6)
        shared = np.random.default_rng(0)
        self._waves = shared.normal(size=(3, _WAVES)) * 6371 / _WAVE_KM
        self._weights = shared.normal(size=(2 * _WAVES, _CHANNELS)) / np.sqrt(_WAVES)
        mixing = [np.linalg.qr(shared.normal(size=(_CHANNELS, _CHANNELS)))[0] for _ in range(_MATRICES)]
        self._mixing = np.array(mixing, np.float32)
        self._upper = np.triu_indices(_CHANNELS)
        self.width = _MATRICES * len(self._upper[0])

    def __len__(self) -> int:
        """Returns the number of batches."""
        return -(-len(self.coords) // self._batch_size)

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401 - as keras.utils.PyDataset
        """Returns the inputs and truth of a batch."""
        import numpy as np

        started_s = time.perf_counter()
        coords = self.coords[number * self._batch_size : (number + 1) * self._batch_size]
        rng = np.random.default_rng([self._seed, number])
        lat, lon = np.radians(coords).T
        phases = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]) @ self._waves
        levels = np.hstack([np.cos(phases), np.sin(phases)]) @ self._weights
        levels += _NOISE * rng.normal(size=levels.shape) - 2 * np.log(np.arange(1, _CHANNELS + 1))
        scales = np.exp(levels / 2).astype(np.float32)[:, None, :, None]
        shape = (len(coords), _MATRICES, _CHANNELS, _PIXELS)
        pixels = self._mixing @ (scales * rng.standard_normal(shape, np.float32))
        moments = (pixels @ pixels.swapaxes(2, 3))[:, :, self._upper[0], self._upper[1]].reshape(len(coords), 1, -1)
        truth = np.column_stack([coords, np.zeros(len(coords))])
        self.seconds += time.perf_counter() - started_s
        return {"features": moments, "view_mask": np.ones((len(coords), 1), bool)}, truth


def _mean_miles(classifier: Any, decoder: Any, test: Drawn) -> float:  # noqa: ANN401 - Keras models
    """Returns the mean distance of predicted from true points."""
    import numpy as np

    from geods.geo import geometry

    points = [np.asarray(decoder(classifier.predict_on_batch(test[n][0]))) for n in range(len(test))]
    distance_km = geometry.haversine_km(test.coords, np.concatenate(points))
    return float(distance_km.mean() / geometry.KM_PER_MILE)


if __name__ == "__main__":
    program.run(Options, main)

"""The course report's training as it was.

It takes chunks of 1,000 float32 images, with the encoder inside, and steps of one image.

    python -m tools.benchmarks.report_training ARGUMENTS.json

ARGUMENTS.json holds the fields of `Arguments`. Prints a line of JSON: seconds to load a chunk, seconds a step, seconds
an image of evaluation, and with `steps` 0, which runs all of it, the mean distance on the test images.
"""

import dataclasses
import json
import pathlib
import sys
import time
from typing import Any

import numpy as np

from geods.geo import geometry
from tools.benchmarks import contenders_job


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Images, head and schedule to train.

    Attributes:
        train: Image files.
        labels: Class of each.
        test: Image files held out.
        coords: True (lat, lon) degrees of each of those.
        centroids: (lat, lon) degrees of each class.
        encoder: Name of the encoder.
        weights: Its weights, as in `backbones.BackboneSpec`.
        head: Name of the head.
        epochs: Passes over each chunk.
        steps: How many steps to take of the first chunk instead of all that the recipe takes; 0 for all.
    """

    train: list[str]
    labels: list[int]
    test: list[str]
    coords: list[list[float]]
    centroids: list[list[float]]
    encoder: str
    weights: str
    head: str
    epochs: int
    steps: int


def main(path: str) -> None:
    """Trains, all or a stretch."""
    arguments = Arguments(**json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    found = _all(arguments) if arguments.steps == 0 else _stretch(arguments)
    print(json.dumps(found))


def load(paths: list[str]) -> np.ndarray:
    """Returns images as the report's generator made them.

    They are float32 `[n, h, w, 3]` of raw levels.
    """
    import keras

    return np.array([keras.utils.img_to_array(keras.utils.load_img(path)) for path in paths])


def network(encoder: str, source: str, head: str, shape: tuple[int, ...], classes: int) -> Any:  # noqa: ANN401
    """Returns the report's network, compiled: frozen encoder, head, softmax."""
    import keras

    from model.encoders import weights as encoders_weights
    from model.heads import classifiers

    keras.utils.set_random_seed(0)
    frozen = encoders_weights.make_encoder(encoder, source, shape[0], shape[1], 0)
    frozen.trainable = False
    image = keras.Input(shape)
    features = frozen(image)
    logits = classifiers.build(head, tuple(features.shape[1:]), classes)(features)
    model = keras.Model(image, keras.layers.Softmax()(logits))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _stretch(arguments: Arguments) -> dict[str, float]:
    """Loads one chunk and takes some of its steps, after some more that do not count."""
    pixels, labels, loading_s = _chunk(arguments, 0)
    model = network(arguments.encoder, arguments.weights, arguments.head, pixels.shape[1:], len(arguments.centroids))
    few = slice(0, min(arguments.steps, len(pixels)))
    model.fit(pixels[:2], labels[:2], batch_size=1, verbose=0)
    started_s = time.perf_counter()
    model.fit(pixels[few], labels[few], batch_size=1, verbose=0)
    step_s = (time.perf_counter() - started_s) / len(pixels[few])
    model.predict(pixels[:2], batch_size=1, verbose=0)
    started_s = time.perf_counter()
    model.predict(pixels[few], batch_size=1, verbose=0)
    predict_s = (time.perf_counter() - started_s) / len(pixels[few])
    return {"chunk_s": loading_s / len(pixels), "step_s": step_s, "predict_s": predict_s, "steps": len(pixels[few])}


def _all(arguments: Arguments) -> dict[str, float]:
    """Trains on every chunk in turn and evaluates."""
    model, loading_s, fitting_s = None, 0.0, 0.0
    for start in range(0, len(arguments.train), contenders_job.CHUNK):
        pixels, labels, seconds = _chunk(arguments, start)
        loading_s += seconds
        if model is None:
            size = (pixels.shape[1:], len(arguments.centroids))
            model = network(arguments.encoder, arguments.weights, arguments.head, *size)
        started_s = time.perf_counter()
        model.fit(pixels, labels, batch_size=1, epochs=arguments.epochs, verbose=0)
        fitting_s += time.perf_counter() - started_s
        print(
            f"{start + len(pixels)} of {len(arguments.train)} images, {fitting_s:,.0f} s", file=sys.stderr, flush=True
        )
    started_s = time.perf_counter()
    guesses = [np.argmax(model.predict(load([path]), verbose=0)) for path in arguments.test] if model else []
    predict_s = (time.perf_counter() - started_s) / max(1, len(arguments.test))
    away_km = geometry.haversine_km(np.array(arguments.coords), np.array(arguments.centroids)[guesses])
    steps = len(arguments.train) * arguments.epochs
    return {
        "chunk_s": loading_s / len(arguments.train),
        "step_s": fitting_s / steps,
        "predict_s": predict_s,
        "steps": steps,
        "mean_miles": float(away_km.mean() / geometry.KM_PER_MILE),
    }


def _chunk(arguments: Arguments, start: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns the images and one-hot labels of a chunk, and the seconds to load it."""
    import keras

    part = slice(start, start + contenders_job.CHUNK)
    started_s = time.perf_counter()
    pixels = load(arguments.train[part])
    labels = keras.utils.to_categorical(arguments.labels[part], len(arguments.centroids))
    return pixels, labels, time.perf_counter() - started_s


if __name__ == "__main__":
    main(*sys.argv[1:])

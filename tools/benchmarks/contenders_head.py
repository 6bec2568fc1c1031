"""Ways to take training steps with a head on a frozen encoder.

On cached features, with the encoder in the loop, on one constant batch, and as the course report did. An item is a
training example (a view); one `run` is one call of fit.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from geods.cli import flags
from geods.geo import partition
from model.encoders import backbones
from tools.benchmarks import report_training
from trainers.features import feature_encoder, joined_cache
from trainers.options import train_options
from trainers.training import callbacks, cells, fit, inputs, networks


class LossCurve(keras.callbacks.Callback):
    """Keeps the loss of every step.

    Attributes:
        losses: Of each step so far.
    """

    def __init__(self) -> None:
        """Begins with none."""
        super().__init__()
        self.losses: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Computes the loss of the step from Keras' running mean over the epoch."""
        mean, before = float((logs or {})["loss"]), sum(self.losses)
        self.losses.append(mean * (batch + 1) - before)


class _Training:
    """A compiled network and its data.

    A child gives `_data`, for `_examples` examples a run.
    """

    _data: Any
    _examples: int

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = flags.build(train_options.TrainOptions, **settings)
        fit.prepare(self._settings.run)
        self._cells: partition.Partition = cells.for_run(self._settings.cells, self._settings.data)

    def _compile(self, parts: fit.Parts) -> None:
        """Gives the network its loss and optimizer."""
        self._network = parts.network
        fit.compile_network(parts, self._cells, self._settings.optimizer, self._settings.data.batch_size)

    def run(self) -> int:
        """Takes the steps, watched as trainers.train watches them."""
        self._fit([])
        return self._examples

    def _fit(self, watchers: Sequence[keras.callbacks.Callback]) -> None:
        """Fits the network once."""
        self._network.fit(self._data, verbose=0, callbacks=[callbacks.StopOnNaN(), *watchers], shuffle=False)


class Cached(_Training):
    """trainers.train with --cache_dir.

    Args:
        settings: Flags of trainers.train by name.
        examples: How many a run takes.
    """

    def __init__(self, settings: dict[str, Any], examples: int) -> None:
        super().__init__(settings)
        split, cache = _from_cache(self._settings, self._cells, train=True)
        self._compile(_on_cache(self._settings, self._cells, split, cache))
        self._data, self._examples = _first(split, examples), min(examples, split.examples)


class Synthetic(Cached):
    """The same steps on one constant batch: the time of the arithmetic alone."""

    def __init__(self, settings: dict[str, Any], examples: int) -> None:
        super().__init__(settings, examples)
        batch = self._data[0]
        steps = self._examples // len(batch[1])
        self._data, self._examples = _Constant(batch, steps), steps * len(batch[1])


class _Constant(keras.utils.PyDataset):
    """One batch again and again, handed over like those of a cache.

    Handed over by tf.data it took longer than those.
    """

    def __init__(self, batch: Any, steps: int) -> None:  # noqa: ANN401 - whatever the network takes
        super().__init__()
        self._batch, self._steps = batch, steps

    def __len__(self) -> int:
        """Returns how often it comes."""
        return self._steps

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401
        """Returns it."""
        return self._batch


class InTheLoop(_Training):
    """trainers.train without --cache_dir: every step decodes and encodes its images.

    Args:
        settings: Flags of trainers.train by name.
        steps: How many a run takes.
    """

    def __init__(self, settings: dict[str, Any], steps: int) -> None:
        super().__init__(settings)
        split = _from_images(self._settings, self._cells, train=True)
        self._compile(_on_images(self._settings, self._cells, split))
        self._data, self._examples = split.inputs.take(steps), steps * self._settings.data.batch_size


class Report:
    """The report's fit: float32 pixels, the encoder in the model, one image a step.

    Args:
        encoder: Name of the encoder.
        encoder_weights: Its weights, as in `backbones.BackboneSpec`.
        images: File of uint8 `[n, h, w, 3]`.
        head: Name of the head.
        classes: Cells to choose from.
    """

    def __init__(self, encoder: str, encoder_weights: str, images: str, head: str, classes: int) -> None:
        self._pixels = np.load(images, allow_pickle=False).astype(np.float32)
        self._model = report_training.network(encoder, encoder_weights, head, self._pixels.shape[1:], classes)
        self._labels = keras.utils.to_categorical(np.arange(len(self._pixels)) % classes, classes)

    def run(self) -> int:
        """Takes one step an image."""
        self._model.fit(self._pixels, self._labels, batch_size=1, verbose=0)
        return len(self._pixels)


class Curve(_Training):
    """Losses of the first steps under one seed, in the order of the dataset.

    Args:
        settings: Flags of trainers.train by name; with a cache_dir the features come from there.
        steps: How many.
    """

    def __init__(self, settings: dict[str, Any], steps: int) -> None:
        super().__init__(settings)
        chosen = self._settings
        if chosen.data.cache_dir:
            split, cache = _from_cache(chosen, self._cells, train=False)
            keras.utils.set_random_seed(chosen.run.seed)
            parts = _on_cache(chosen, self._cells, split, cache)
            self._data = _first(split, steps * chosen.data.batch_size)
        else:
            split = _from_images(chosen, self._cells, train=False)
            parts = _on_images(chosen, self._cells, split)
            self._data = split.inputs.take(steps)
        self._compile(parts)

    def facts(self) -> dict[str, Any]:
        """Takes the steps and returns the loss of each."""
        curve = LossCurve()
        self._fit([curve])
        return {"losses": curve.losses}


def _from_cache(
    settings: train_options.TrainOptions, chosen: partition.Partition, train: bool
) -> tuple[inputs.Split, joined_cache.Cache]:
    data = settings.data
    return inputs.from_cache(data, data.train_split, chosen, train=train, seed=settings.run.seed)


def _from_images(settings: train_options.TrainOptions, chosen: partition.Partition, train: bool) -> inputs.Split:
    data, size_px = settings.data, (settings.encoder.height_px, settings.encoder.width_px)
    return inputs.from_images(data, size_px, data.train_split, chosen, train=train, run=settings.run)


def _on_cache(
    settings: train_options.TrainOptions,
    chosen: partition.Partition,
    split: inputs.Split,
    cache: joined_cache.Cache,
) -> fit.Parts:
    """Returns the network that trainers.train trains on a cache."""
    spec = backbones.spec_of(cache.spec)
    unfreeze, shape = settings.encoder.unfreeze, cache.feature_shape
    classifier = fit.classifier_of(settings.head, unfreeze, spec, shape, chosen, split)
    return fit.on_features(classifier, settings.augmentation, split, None)


def _on_images(settings: train_options.TrainOptions, chosen: partition.Partition, split: inputs.Split) -> fit.Parts:
    """Returns the network that trainers.train trains on images."""
    spec = feature_encoder.spec_of(settings.encoder, settings.run.seed)
    backbone = backbones.build(spec)
    # Building the encoder has drawn random numbers; the head is to start as it does on a cache.
    keras.utils.set_random_seed(settings.run.seed)
    shape, unfreeze = tuple(backbone.output_shape[1:]), settings.encoder.unfreeze
    classifier = networks.classifier_of(settings.head, unfreeze, spec, shape, len(chosen))
    network = networks.on_images(settings.augmentation, backbone, classifier)
    return fit.Parts(network, classifier, backbone, split, None)


def _first(split: inputs.Split, examples: int) -> Any:  # noqa: ANN401 - a keras.utils.PyDataset
    """Returns the first examples of a split on a cache."""
    return next(split.inputs.chunks(examples))

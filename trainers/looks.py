"""Second moments of all places of a split, computed once: they stay in training, and cost more than the head."""

import dataclasses

import keras
import numpy as np

from trainers import inputs


class LookBatches(keras.utils.PyDataset):
    """Batches of what places look like, from memory: 37 kB a place for 96 channels in two regions.

    Args:
        looks: float32 `[n, d]`.
        mask: bool `[n, v]`, which views there are.
        truth: float32 `[n, 3]`.
        batch_size: Places a batch.
        seed: Of the order, another one each epoch; None to keep it.
    """

    def __init__(
        self, looks: np.ndarray, mask: np.ndarray, truth: np.ndarray, batch_size: int, seed: int | None
    ) -> None:
        super().__init__()
        self._arrays, self._batch_size = (looks, mask, truth), batch_size
        self._order = np.arange(len(looks))
        self._rng = None if seed is None else np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        """Returns the number of batches."""
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns ({"features", "view_mask"}, truth) of one batch."""
        rows = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        looks, mask, truth = (values[rows] for values in self._arrays)
        return {"features": looks, "view_mask": mask}, truth

    def on_epoch_end(self) -> None:
        """Shuffles for the next epoch."""
        if self._rng is not None:
            self._rng.shuffle(self._order)


def of(split: inputs.Split, look: keras.layers.Layer, batch_size: int, seed: int | None) -> inputs.Split:
    """Returns a split whose inputs are what a layer makes of the maps of each example.

    Args:
        split: With inputs of maps from a cache or from memory.
        look: (features, view_mask) -> `[b, d]`, such as `moments.SecondMoments`.
        batch_size: Places a batch.
        seed: Of the order; None to keep the split's.
    """
    looks, masks, truths = [], [], []
    for number in range(len(split.inputs)):
        batch, truth = split.inputs[number]
        looks.append(keras.ops.convert_to_numpy(look(batch["features"], batch["view_mask"])))
        masks.append(batch["view_mask"])
        truths.append(truth)
    batches = LookBatches(*map(np.concatenate, (looks, masks, truths)), batch_size, seed)
    return dataclasses.replace(split, inputs=batches, chunks=None)


def trainable(classifier: keras.Model) -> keras.Model:
    """Returns the part of a classifier behind its second moments, as a model that can be compiled without a trace."""
    behind = classifier.get_layer("on_looks")
    return keras.Model(behind.input, behind.output, name="trainable")

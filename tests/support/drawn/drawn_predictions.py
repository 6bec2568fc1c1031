"""Predictions over a few cells whose right calibration is known."""

import numpy as np
import shapely

from geods.geo import partition
from trainers.evaluation import calibration

CELLS = partition.Partition(
    tuple(shapely.box(-110 + 2 * x, 30 + 2 * y, -108 + 2 * x, 32 + 2 * y) for y in range(5) for x in range(8))
)


def world(count, temperature=1.0, seed=0):
    """Probabilities made over-confident by a temperature, and truths of the right.

    The truths are drawn from the probabilities before.
    """
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((count, len(CELLS)))
    right = calibration.tempered(np.exp(logits), 1.0)
    labels = np.array([rng.choice(len(CELLS), p=row) for row in right])
    return calibration.tempered(np.exp(logits), 1 / temperature), labels

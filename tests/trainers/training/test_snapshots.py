"""Snapshots: restored states and refusals.

tests/system/test_kills.py compares whole trainings.
"""

import keras
import numpy as np
import pytest

from geods import errors
from model import geolocator
from model.heads import classifiers
from trainers.training import snapshots


def network(width=4):
    made = geolocator.build_classifier(classifiers.build("mlp", (width,), 3, 0.5), (width,))
    made.compile(keras.optimizers.AdamW(0.1), "mse")
    return made


def trained(made):
    """Trains a step, in which dropout draws."""
    inputs = {"features": np.ones((2, 1, 4), np.float32), "view_mask": np.ones((2, 1), bool)}
    made.train_on_batch(inputs, np.zeros((2, 3), np.float32))
    return [np.array(value) for value in (*made.variables, *made.optimizer.variables)]


def test_the_next_step_is_the_same_with_all_its_random_numbers(tmp_path):
    path, first = tmp_path / "snapshot.npz", network()
    kept = snapshots.Snapshots(first, None, 3, path)
    assert (kept.epochs, kept.is_over) == (0, False)
    kept.set_model(first)
    first.stop_training = False
    trained(first)
    kept.on_epoch_end(0)
    wanted = trained(first)
    keras.utils.set_random_seed(99)
    second = network()
    again = snapshots.Snapshots(second, None, 3, path)
    assert (again.epochs, again.is_over) == (1, False)
    assert all(np.array_equal(*pair) for pair in zip(trained(second), wanted, strict=True))


def test_snapshots_that_do_not_fit_or_are_damaged_are_refused(tmp_path):
    path = tmp_path / "snapshot.npz"
    snapshots.Snapshots(network(), None, 3, None).write(path)
    with pytest.raises(errors.RunError, match=r"snapshot\.npz: .* has shape (.|\n)*--overwrite"):
        snapshots.Snapshots(network(5), None, 3, path)
    content = path.read_bytes()
    for damaged in (content[:-100], content[:2000] + b"torn" + content[2004:], b""):
        path.write_bytes(damaged)
        with pytest.raises(errors.RunError, match=r"snapshot\.npz: no snapshot to resume from(.|\n)*--overwrite"):
            snapshots.Snapshots(network(), None, 3, path)

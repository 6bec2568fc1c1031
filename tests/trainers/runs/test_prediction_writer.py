"""Predictions written piece by piece are the bytes of those written at once."""

import drawn_trees
import numpy as np
import pytest

from geods import errors
from trainers.runs import distance_metrics, prediction_writer, run_folder

CELLS = drawn_trees.cells()
NAMES = [f"{row},é" for row in range(10)]
TRUTH = np.random.default_rng(0).uniform((30, -120), (48, -70), (10, 2))
PROBABILITIES = np.random.default_rng(1).dirichlet(np.ones(len(CELLS)), 10)
GUESSES = distance_metrics.Guesses(
    TRUTH, CELLS.label(*TRUTH.T), TRUTH + 1 / 3, distance_metrics.top_cells(PROBABILITIES)
)


def add(writer, start, end):
    part = distance_metrics.Guesses(
        *(getattr(GUESSES, name)[start:end] for name in ("truth", "cells", "points", "top_cells"))
    )
    writer.add(NAMES[start:end], part, PROBABILITIES[start:end])


def test_pieces_are_the_bytes_of_the_whole(tmp_path):
    with prediction_writer.writing(tmp_path / "whole", *PROBABILITIES.shape) as writer:
        writer.add(NAMES, GUESSES, PROBABILITIES)
        writer.metrics = {"mean_km": 1.0}
    with prediction_writer.writing(tmp_path / "pieces", *PROBABILITIES.shape) as writer:
        for start, end in ((0, 3), (3, 4), (4, 10)):
            add(writer, start, end)
            assert not any((tmp_path / "pieces" / name).exists() for name in run_folder.EVALUATED)
        writer.metrics = {"mean_km": 1.0}
    for name in (run_folder.PREDICTIONS, run_folder.PROBABILITIES, run_folder.METRICS):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "pieces" / name).read_bytes()
    np.save(tmp_path / "numpy.npy", PROBABILITIES.astype(np.float32))
    assert (tmp_path / "numpy.npy").read_bytes() == (tmp_path / "pieces" / run_folder.PROBABILITIES).read_bytes()


def test_the_file_ranks_cells_as_the_metrics_do():
    # In float16 both are 0.5003, and the first would win.
    close = np.array([[0.50025, 0.50035, 0.0]]) - 0.0003
    assert prediction_writer.top_cells(close)[0, 0] == np.argmax(close.astype(np.float32)) == 1
    assert np.argmax(close.astype(np.float16)) == 0


@pytest.mark.parametrize(("end", "said"), [(9, "1 locations fewer"), (10, "2 locations more")])
def test_another_number_of_locations_leaves_nothing(tmp_path, end, said):
    with (
        pytest.raises(errors.RunError, match=said),
        prediction_writer.writing(tmp_path, 8 if end == 10 else 10, len(CELLS)) as writer,
    ):
        add(writer, 0, end)
    assert not list(tmp_path.iterdir())

"""Prediction with a finished run, by the runtime that is asked for.

model = predictors.open_run("runs/best")
answers.predict(model, locations, batch_size=16, top=5, all_cells=False)
"""

import importlib.util
import pathlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from geods import errors
from geods.cli import program
from geods.geo import partition
from geods.tree import imagery_tree, jpeg
from trainers.evaluation import graph_predictor
from trainers.options import train_options
from trainers.runs import run_folder

Runtime = Literal["auto", "tensorflow", "openvino"]


class RunPredictor(Protocol):
    """The network of a run with its partition, whatever runs it.

    Attributes:
        folder: The run folder.
        options: The options of the training.
        partition: The cells it chooses from.
        height_px: Height of the images it takes.
        width_px: Width of the images it takes.
    """

    folder: pathlib.Path
    options: train_options.TrainOptions
    partition: partition.Partition
    height_px: int
    width_px: int

    def tree_batches(
        self,
        locations: Sequence[imagery_tree.Location],
        batch_size: int,
        facts: Iterable[jpeg.ImageFacts] | None = None,
    ) -> Iterable[dict[str, Any]]:
        """Decodes the images of locations, as `pipeline.tree_batches`."""

    def decode(self, content: bytes) -> np.ndarray:
        """Returns the pixels of a JPEG, uint8 `[h, w, 3]`; safe for many threads."""

    def pieces(self, batches: Iterable[dict[str, Any]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields log-probabilities and points of each batch."""

    def predict(self, batches: Iterable[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Returns log-probabilities and points of all batches."""


def open_run(run_dir: str | pathlib.Path, checkpoint: str = "", runtime: Runtime = "auto") -> RunPredictor:
    """Opens a finished run, or the model of one of its chunks.

    Args:
        run_dir: The run folder.
        checkpoint: Name of a chunk's model; empty for the run's own.
        runtime: "openvino" takes the run's exported graph, and TensorFlow is not imported; "auto" does where it can.

    Raises:
        RunError: As `predictor.Predictor`.
    """
    folder = run_folder.check_run(str(run_dir), checkpoint)
    if runtime != "tensorflow" and (graph := _opened_graph(folder, checkpoint, runtime == "openvino")):
        return graph
    program.import_quietly("tensorflow")
    from trainers.evaluation import predictor

    return predictor.Predictor(run_dir, checkpoint)


def _opened_graph(folder: pathlib.Path, checkpoint: str, is_wanted: bool) -> graph_predictor.GraphPredictor | None:
    """Returns the graph of a run, or None where TensorFlow has to do.

    Raises:
        RunError: If it `is_wanted` and cannot be had.
    """
    problem = ""
    if checkpoint:
        problem = f"--checkpoint={checkpoint}: a graph is written of the last model only"
    elif importlib.util.find_spec("openvino") is None:
        problem = "OpenVINO is not installed"
    else:
        problem = graph_predictor.problem_with(folder)
    if not problem:
        return graph_predictor.GraphPredictor(folder)
    if is_wanted:
        raise errors.RunError(f"--runtime=openvino: {problem}.", "give --runtime=tensorflow, or train again")
    if (folder / run_folder.GRAPH).exists() and not checkpoint:
        print(f"{problem}; TensorFlow runs {run_folder.MODEL}", file=sys.stderr)
    return None

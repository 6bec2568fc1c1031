"""Prediction with a finished run, by the runtime that is asked for.

model = run_predictor.open_run("runs/best")
answers.predict(model, locations, batch_size=16, top=5, all_cells=False)
"""

import concurrent.futures
import itertools
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from geods import errors
from geods.cli import program
from geods.geo import partition
from geods.input import pillow_decoder, threaded_decoder
from geods.storage import memory, seals
from geods.tree import imagery_tree, jpeg
from trainers.options import train_options
from trainers.runs import run_folder

Runtime = Literal["auto", "tensorflow", "openvino"]
# 96 views of 300x600 took 5.7 GB in MobileNetV2, 16 take 1.9, with fewer seconds of the system.
_VIEWS_AT_ONCE = 16
# A program for batches of one size joins the steps of resizing and normalising: `best` takes 54 ms of the processor a
# view in it and 61 in one for any size. Compiling it takes 0.6 s, which fewer views do not repay.
_VIEWS_FOR_FIXED = 128
# Arithmetic in bfloat16, OpenVINO's default where the processor has it, changes log-probabilities in the second digit.
_SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class RunPredictor(Protocol):
    """The network of a run with its partition, whatever runs it.

    Attributes:
        folder: The run folder.
        checkpoint: Name of a chunk's model, which the run's figures and calibration are not of; empty for its own.
        options: The options of the training.
        partition: The cells it chooses from.
        height_px: Height of the images it takes.
        width_px: Width of the images it takes.
    """

    folder: pathlib.Path
    checkpoint: str
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


def open_run(
    run_dir: str | pathlib.Path, checkpoint: str = "", runtime: Runtime = "auto", exact_pixels: bool = False
) -> RunPredictor:
    """Opens a finished run, or the model of one of its chunks.

    Args:
        run_dir: The run folder.
        checkpoint: Name of a chunk's model; empty for the run's own.
        runtime: "openvino" takes the run's exported graph, and TensorFlow is not imported; "auto" does where it can.
        exact_pixels: Whether large photographs are decoded whole, as they are if they were for training.

    Raises:
        RunError: As `keras_predictor.KerasPredictor`.
    """
    folder = run_folder.check_run(str(run_dir), checkpoint)
    if runtime != "tensorflow" and (opened := _open_graph(folder, checkpoint, runtime == "openvino", exact_pixels)):
        return opened
    program.import_quietly("tensorflow")
    from trainers.evaluation import keras_predictor

    return keras_predictor.KerasPredictor(run_dir, checkpoint, exact_pixels)


def _open_graph(folder: pathlib.Path, checkpoint: str, is_wanted: bool, exact_pixels: bool) -> "GraphPredictor | None":
    """Opens the graph of a run; prints why it cannot be taken.

    Raises:
        RunError: If it `is_wanted` and cannot be had.
    """
    step = "give --runtime=tensorflow, or train again"
    if checkpoint:
        problem = f"--checkpoint={checkpoint}: a graph is written of the last model only"
    elif problem := errors.problem_with_library("openvino", "OpenVINO"):
        step = 'pip install "geods[openvino]", or give --runtime=tensorflow'
    elif not (problem := problem_with(folder)):
        try:
            return GraphPredictor(folder, exact_pixels)
        # OpenVINO's own, where it is older than the graph or does not know the processor.
        except RuntimeError as error:
            problem = f"OpenVINO cannot run {folder / run_folder.GRAPH} ({errors.in_short(error)})"
    if is_wanted:
        raise errors.RunError(f"--runtime=openvino: {problem}.", step)
    if run_folder.GRAPH in seals.names_in(folder) and not checkpoint:
        print(f"{problem}; TensorFlow runs {run_folder.MODEL}", file=sys.stderr)
    return None


def problem_with(folder: pathlib.Path) -> str:
    """Returns why the graph of a run cannot be taken; empty if it can.

    It must be as it was when it was found equal to the model.keras beside it.
    """
    names = [run_folder.MODEL, run_folder.GRAPH, run_folder.GRAPH_WEIGHTS]
    if not set(names) <= set(seals.names_in(folder)):
        return f"{folder}: holds no {run_folder.GRAPH} that was sealed with its model"
    damage = seals.verify(folder, names)
    return f"{damage[0].path}: {damage[0].problem}" if damage else ""


_Batch = list[list["concurrent.futures.Future[np.ndarray]"]]


class GraphPredictor:
    """The graph of a run with its partition; attributes as of `RunPredictor`."""

    checkpoint = ""

    def __init__(self, run_dir: str | pathlib.Path, exact_pixels: bool = False) -> None:
        """Compiles the graph of a run, in which `problem_with` found nothing.

        Raises:
            RunError: If the folder is not a finished run, or its graph does not fit its partition.
        """
        import openvino

        self.folder = run_folder.check_run(str(run_dir))
        self.options = run_folder.options_of(self.folder)
        self._exact_pixels = exact_pixels or self.options.data.exact_pixels
        self.partition = partition.read(self.folder / run_folder.PARTITION)
        run_folder.check_settings(self.folder)
        self._core = openvino.Core()
        self._fixed: dict[int, tuple[Any, int]] = {}
        compiled = self._core.compile_model(self.folder / run_folder.GRAPH, "CPU", _SETTINGS)
        # The weights, which the compiled network has in a layout of its own: 80 of 430 MB for `best`.
        memory.release_file_pages(self.folder / run_folder.GRAPH_WEIGHTS)
        self._compiled = compiled
        self.height_px, self.width_px = (compiled.input("image").partial_shape[axis].get_length() for axis in (2, 3))
        cells = compiled.output("log_probabilities").partial_shape[1].get_length()
        if cells != len(self.partition):
            problem = f"{self.folder}: the graph has {cells} cells, the partition {len(self.partition)}."
            raise errors.RunError(problem, "put back the run's own partition.geojson, or train again")

    def decode(self, content: bytes) -> np.ndarray:
        """Returns the pixels of a JPEG, uint8 `[h, w, 3]`; safe for many threads."""
        return pillow_decoder.decode_image(content, self.height_px, self.width_px, self._exact_pixels)

    def tree_batches(
        self,
        locations: Sequence[imagery_tree.Location],
        batch_size: int,
        facts: Iterable[jpeg.ImageFacts] | None = None,
    ) -> Iterator[dict[str, np.ndarray]]:
        """Returns the images of locations, decoded in threads.

        Raises:
            TreeError: If there is no location.
            ImageError: If an image is not a whole JPEG; all are checked before the first batch.
        """
        jpeg.check_locations(locations, facts)
        views = max(len(location.views) for location in locations[:batch_size])
        if len(locations) * views >= _VIEWS_FOR_FIXED:
            # All batches of a tree take this program, the last one padded.
            self._compile_for(_rows_at_once(batch_size, views), views)
        return self._batches(iter(locations), batch_size)

    def _compile_for(self, rows: int, views: int) -> None:
        """Compiles the graph for batches of so many locations of so many views."""
        if self._fixed.get(views, (None, 0))[1] == rows:
            return
        path = self.folder / run_folder.GRAPH
        graph = self._core.read_model(path)
        graph.reshape({"image": [rows, views, self.height_px, self.width_px, 3], "view_mask": [rows, views]})
        self._fixed = {views: (self._core.compile_model(graph, "CPU", _SETTINGS), rows)}
        memory.release_file_pages(self.folder / run_folder.GRAPH_WEIGHTS)

    def _batches(self, rows: Iterator[imagery_tree.Location], batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        some = iter(lambda: list(itertools.islice(rows, batch_size)), [])
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count(), "jpeg") as threads:

            def submit(batch: Sequence[imagery_tree.Location]) -> _Batch:
                return [[threads.submit(self._read, view.path) for view in row.views] for row in batch]

            for _, decoded in threaded_decoder.submitted_ahead(some, submit):
                yield self._stacked(decoded)

    def _read(self, path: pathlib.Path) -> np.ndarray:
        return self.decode(path.read_bytes())

    def _stacked(self, batch: _Batch) -> dict[str, np.ndarray]:
        """Waits for the images of locations and pads them to as many views each."""
        counts = np.array([len(views) for views in batch])
        image = np.zeros((len(batch), counts.max(), self.height_px, self.width_px, 3), np.uint8)
        for row, views in enumerate(batch):
            for number, view in enumerate(views):
                image[row, number] = view.result()
        return {"image": image, "view_mask": np.arange(counts.max()) < counts[:, None]}

    def pieces(self, batches: Iterable[dict[str, Any]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predicts from images, batch by batch, as `KerasPredictor.pieces`."""
        for batch in batches:
            mask, most = np.asarray(batch["view_mask"]), self.options.data.views_per_place
            if most:
                mask = mask & (np.arange(mask.shape[1]) < most)
            yield _joined(self._parts(np.asarray(batch["image"]), mask))

    def _parts(self, image: np.ndarray, mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predicts a batch a few locations at a time."""
        views = mask.shape[1]
        program, rows = self._fixed.get(views, (self._compiled, max(1, _VIEWS_AT_ONCE // views)))
        # A request of its own, as threads may predict at the same time.
        request = program.create_infer_request()
        for start in range(0, len(mask), rows):
            given = {"image": image[start : start + rows], "view_mask": mask[start : start + rows]}
            count = len(given["view_mask"])
            if count < rows and program is not self._compiled:
                given = {name: np.resize(values, (rows, *values.shape[1:])) for name, values in given.items()}
            found = request.infer(given)
            yield np.array(found["log_probabilities"][:count]), np.array(found["coords"][:count], np.float64)


def _rows_at_once(batch_size: int, views: int) -> int:
    """Returns how many locations to predict at once, so that few are padded."""
    most = min(batch_size, max(1, _VIEWS_AT_ONCE // views))
    return min(range((most + 1) // 2, most + 1), key=lambda rows: (-(-batch_size // rows) * rows, -rows))


def _joined(pieces: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log-probabilities and the points of all pieces."""
    log_probabilities, points = zip(*pieces, strict=True)
    return np.concatenate(log_probabilities), np.concatenate(points)

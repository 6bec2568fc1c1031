"""Event files for TensorBoard.

They lie in the run folder itself, because TensorBoard names a run by the folder of its event files.
"""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api, api_pb2, summary

from geods.cli import flags as cli_flags
from trainers.options import train_options
from trainers.runs import run_folder

_OPTIONS, _END, _EVALUATION = "options", "end", "evaluation"
# No hyperparameter, though it is no path.
_NO_CHOICE = ("overwrite",)


def writer(folder: pathlib.Path, part: str) -> Any:  # noqa: ANN401 - TensorFlow exports no type for it
    """Returns a writer of events, whose file name ends in `part`."""
    return tf.summary.create_file_writer(str(folder), filename_suffix=f".{part}")


def write_options(folder: pathlib.Path, settings: train_options.TrainOptions, flags: str) -> None:
    """Writes the options of a training.

    flags.cfg as text, and for the table of hyperparameters the flags that differ from their defaults, without paths.
    """
    with _replacing(folder, _OPTIONS):
        tf.summary.text("flags.cfg", "".join(f"    {line}\n" for line in flags.splitlines()), step=0)
        api.hparams(changed(settings), trial_id=folder.name)


def changed(settings: train_options.TrainOptions) -> dict[str, bool | float | str]:
    """Returns the flags that differ from their defaults, by name, without paths."""
    values = cli_flags.values_of(settings)
    differing = {
        field.name: values[field.name]
        for field in cli_flags.leaves(type(settings))
        if values[field.name] != field.default and not field.metadata.get("path") and field.name not in _NO_CHOICE
    }
    return {
        name: value
        if isinstance(value, bool | int | float)
        else ",".join(value)
        if isinstance(value, tuple)
        else str(value)
        for name, value in differing.items()
    }


def write_end(folder: pathlib.Path) -> None:
    """Writes that a training has ended."""
    with _replacing(folder, _END):
        ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        tf.summary.experimental.write_raw_pb(ended.SerializeToString(), step=0)


def write_evaluation(folder: pathlib.Path, metrics: dict[str, Any]) -> None:
    """Writes the figures of the model in metrics.json."""
    figures = {name: value for name, value in metrics.items() if isinstance(value, float) and "diagonal" not in name}
    figures |= {f"within_{limit}_km": share for limit, share in metrics["within_km"].items()}
    with _replacing(folder, _EVALUATION):
        for name, value in figures.items():
            tf.summary.scalar(f"test/{name}", value, step=0)


@contextlib.contextmanager
def _replacing(folder: pathlib.Path, part: str) -> Iterator[None]:
    """Writes events in place of the part's earlier file."""
    for path in folder.glob(f"{run_folder.EVENTS}.{part}"):
        path.unlink()
    written = writer(folder, part)
    with written.as_default():
        yield
    written.close()

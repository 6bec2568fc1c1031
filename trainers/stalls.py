"""The end of a training to which a tf.data service sends nothing any more."""

import os
import threading
import time
from typing import Any

import keras

from geods import cli, errors

_LOOK_S = 1.0
_EXIT_FAILED = 2


class Stall(keras.callbacks.Callback):
    """Ends the process with a message when no step has ended for a while.

    TensorFlow 2.21 waits for a worker that is gone until one listens under its port again, an hour at least, inside a
    call that no signal interrupts. So the process is ended as a kill would, which a training stands: the same command
    goes on after the last finished epoch.

    Args:
        address: host:port of the dispatcher.
        wait_s: How long a step may take; compiling counts.
    """

    def __init__(self, address: str, wait_s: float) -> None:
        """Begins to look when an epoch begins."""
        super().__init__()
        self._address, self._wait_s = address, wait_s
        self._stepped_s, self._over = 0.0, threading.Event()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins to look."""
        self._stepped_s, self._over = time.monotonic(), threading.Event()
        threading.Thread(target=self._look, args=(self._over,), daemon=True).start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes when the step ended."""
        self._stepped_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops looking."""
        self._over.set()

    def _look(self, over: threading.Event) -> None:
        """Looks every second until the epoch is over."""
        while not over.wait(_LOOK_S):
            if time.monotonic() - self._stepped_s > self._wait_s:
                problem = f"--data_service={self._address}: no step ended for {self._wait_s:g} s; a worker may be gone."
                step = "start it again under its port, then the same command; or raise --data_service_wait_s"
                cli.show_error(errors.TrainingError(problem, step))
                os._exit(_EXIT_FAILED)

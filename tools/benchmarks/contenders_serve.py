"""Contenders that predict photographs: a network alone, a server with clients.

An item is an image, from memory.
"""

import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from geods import errors


class Network:
    """A run's network on images that are decoded, in batches of one size.

    Args:
        run_dir: The run.
        images: JPEGs.
        count: Images a run.
        batch_size: Images a batch.
    """

    def __init__(self, run_dir: str, images: Sequence[str], count: int, batch_size: int) -> None:
        from trainers.evaluation import predictors

        self._model, self._batches = predictors.open_run(run_dir), -(-count // batch_size)
        pixels = [self._model.decode(pathlib.Path(path).read_bytes()) for path in images]
        stacked = np.stack([pixels[n % len(pixels)] for n in range(batch_size)])[:, None]
        self._batch = {"image": stacked, "view_mask": np.ones(stacked.shape[:2], bool)}

    def run(self) -> int:
        """Predicts; returns the number of images."""
        return sum(len(rows) for rows, _ in self._model.pieces(self._batch for _ in range(self._batches)))


class Clients:
    """Clients of a server that each wait for an answer before they ask again.

    Args:
        port: The server's, on this machine.
        images: JPEGs.
        count: Images a run.
        clients: How many ask at once.
        latencies: File that gets the seconds of each answer, a line of JSON a run.
    """

    def __init__(self, port: int, images: Sequence[str], count: int, clients: int, latencies: str) -> None:
        self._port, self._count, self._clients, self._latencies = port, count, clients, pathlib.Path(latencies)
        self._contents = [pathlib.Path(path).read_bytes() for path in images]

    def run(self) -> int:
        """Asks; returns the number of answers.

        Raises:
            BenchmarkError: If one is no prediction.
        """
        with concurrent.futures.ThreadPoolExecutor(self._clients) as pool:
            parts = list(pool.map(self._client, range(self._clients)))
        took = [seconds for part in parts for seconds in part]
        with self._latencies.open("a", encoding="utf-8") as target:
            target.write(json.dumps(took) + "\n")
        return len(took)

    def _client(self, number: int) -> list[float]:
        """Asks for one client's share of the images; returns the seconds of each answer."""
        took = []
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        with contextlib.closing(connection):
            for image in range(number, self._count, self._clients):
                start_s = time.perf_counter()
                content = self._contents[image % len(self._contents)]
                connection.request("POST", "/predict", content, {"Content-Type": "image/jpeg"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise errors.BenchmarkError(f"tools.serve: answered {answer.status}.", "see its output")
                took.append(time.perf_counter() - start_s)
        return took


class Served(Clients):
    """A server in a process of its own with its clients.

    Args:
        run_dir: The run.
        batch_size: Images the network takes at once, at most.
        clients: How many ask at once.
        more: As of Clients.

    Raises:
        BenchmarkError: If the server does not start.
    """

    def __init__(self, run_dir: str, batch_size: int, clients: int, **more: Any) -> None:  # noqa: ANN401
        words = ("--port=0", f"--run_dir={run_dir}", f"--batch_size={batch_size}", f"--queue={4 * clients}")
        command = [sys.executable, "-m", "tools.serve", *words]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._server.stdout.readline() if self._server.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not found:
            raise errors.BenchmarkError(f"tools.serve: did not start ({line.strip()}).", "start it by hand and see")
        super().__init__(int(found[1]), clients=clients, **more)

    def close(self) -> None:
        """Ends the server."""
        self._server.terminate()
        self._server.communicate()

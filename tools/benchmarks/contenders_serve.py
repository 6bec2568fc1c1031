"""Contenders that predict photographs, and an extraction of the same.

An item is an image.
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
        from trainers.evaluation import run_predictor

        self._model, self._batches = run_predictor.open_run(run_dir), -(-count // batch_size)
        pixels = [self._model.decode(pathlib.Path(path).read_bytes()) for path in images]
        stacked = np.stack([pixels[n % len(pixels)] for n in range(batch_size)])[:, None]
        self._batch = {"image": stacked, "view_mask": np.ones(stacked.shape[:2], bool)}

    def run(self) -> int:
        """Predicts; returns the number of images."""
        return sum(len(rows) for rows, _ in self._model.pieces(self._batch for _ in range(self._batches)))


class Files:
    """The loop of tools.predict: files are checked, decoded and predicted.

    Args:
        run_dir: The run.
        images: JPEGs, taken in turn.
        count: Images a run.
        batch_size: Locations a batch.
        views: Images a location.
    """

    def __init__(self, run_dir: str, images: Sequence[str], count: int, batch_size: int, views: int) -> None:
        from geods.tree import imagery_tree
        from trainers.evaluation import run_predictor

        self._model, self._batch_size = run_predictor.open_run(run_dir), batch_size
        shots = [imagery_tree.View(pathlib.Path(images[n % len(images)]), None, None) for n in range(count)]
        groups = [tuple(shots[first : first + views]) for first in range(0, count, views)]
        self._locations = [imagery_tree.Location(str(n), 0.0, 0.0, None, group) for n, group in enumerate(groups)]

    def run(self) -> int:
        """Predicts; returns the number of images."""
        from trainers.evaluation import answers

        lines = answers.predict(self._model, self._locations, self._batch_size, top=5, all_cells=False)
        return sum(line["views"] for line in lines)


class Extraction:
    """The loop of an extraction: the run's encoder, in float32, on files.

    Args:
        run_dir: The run.
        images: JPEGs, taken in turn.
        count: Images a run.
        batch_size: Images a batch.
    """

    def __init__(self, run_dir: str, images: Sequence[str], count: int, batch_size: int) -> None:
        from geods.input import threaded_decoder
        from model.encoders import backbones
        from trainers.features import feature_encoder, runtimes
        from trainers.runs import run_folder

        encoder = run_folder.options_of(run_folder.check_run(run_dir)).encoder
        backbone = backbones.build(feature_encoder.spec_of(encoder, 0))
        self._encode = runtimes.compiled(backbone, batch_size, "openvino", "float32")
        read = threaded_decoder.read_file
        self._decoder = threaded_decoder.ThreadedDecoder(encoder.height_px, encoder.width_px, read=read)
        paths = [images[n % len(images)].encode() for n in range(count // batch_size * batch_size)]
        batches = range(0, len(paths), batch_size)
        self._rows = [{"image": np.array(paths[first : first + batch_size], object)} for first in batches]

    def run(self) -> int:
        """Extracts; returns the number of images."""
        return sum(len(self._encode(row["image"])) for row in self._decoder.ahead(self._rows))


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

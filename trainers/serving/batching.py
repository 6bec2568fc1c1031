"""Requests of many clients, decoded in threads and predicted in batches."""

import asyncio
import collections
import concurrent.futures
import dataclasses
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from trainers.serving import web

# Log-probabilities [cells] and point [2] of one request, or [b, cells] and [b, 2] of a batch.
Answer = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class _Request:
    """A request whose images are decoded."""

    images: np.ndarray
    answer: "concurrent.futures.Future[Answer]" = dataclasses.field(default_factory=concurrent.futures.Future)


class Batcher:
    """One network for many requests.

    Images are decoded in threads, one more runs the network.

    Args:
        predict: From uint8 images `[b, v, h, w, 3]` and their bool mask `[b, v]` to log-probabilities `[b, cells]`
            and points `[b, 2]`.
        most_images: Images a batch.
        most_requests: Requests that are decoded, wait or are predicted; more are refused.
        wait_s: Seconds that a batch waits for requests that are being decoded.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray, np.ndarray], Answer],
        most_images: int,
        most_requests: int,
        wait_s: float = 0.005,
    ) -> None:
        self._predict, self._wait_s = predict, wait_s
        self._most_images, self._most_requests = most_images, most_requests
        self._running, self._queue = 0, queue.SimpleQueue[_Request | None]()
        self._decoders = concurrent.futures.ThreadPoolExecutor(os.cpu_count(), "decode")
        self._worker = threading.Thread(target=self._work, name="predict", daemon=True)
        self._worker.start()

    async def answer(self, decode: Callable[[], np.ndarray]) -> Answer:
        """Returns the log-probabilities and the point of one location.

        Args:
            decode: Returns its views, uint8 `[v, h, w, 3]`; called in a thread.

        Raises:
            Problem: If too many requests are waiting.
            Exception: What `decode` raises, or the network.
        """
        if self._running >= self._most_requests:
            raise web.busy(f"{self._running:,} requests are waiting already.")
        self._running += 1
        try:
            images = await asyncio.get_running_loop().run_in_executor(self._decoders, decode)
            request = _Request(images)
            self._queue.put(request)
            return await asyncio.wrap_future(request.answer)
        finally:
            self._running -= 1

    def close(self) -> None:
        """Ends the threads."""
        self._queue.put(None)
        self._worker.join()
        self._decoders.shutdown(cancel_futures=True)

    def _work(self) -> None:
        """Predicts batches until `close`."""
        while (first := self._queue.get()) is not None:
            batch = [first, *self._more(len(first.images))]
            # Of equally many views each, or the network would encode black images.
            groups: dict[int, list[_Request]] = collections.defaultdict(list)
            for request in batch:
                # Of a server that has given up waiting.
                if request.answer.set_running_or_notify_cancel():
                    groups[len(request.images)].append(request)
            for group in groups.values():
                self._answer(group)

    def _more(self, count: int) -> list[_Request]:
        """Waits a little for the requests after the first one, of `count` images."""
        more: list[_Request] = []
        end_s = time.monotonic() + self._wait_s
        while count < self._most_images:
            # A lone client would wait its 5 ms for nobody.
            is_coming = self._running > 1 + len(more) + self._queue.qsize()
            try:
                request = self._queue.get(timeout=max(0.0, end_s - time.monotonic()) if is_coming else 0.0)
            except queue.Empty:
                break
            if request is None:
                self._queue.put(None)
                break
            more.append(request)
            count += len(request.images)
        return more

    def _answer(self, requests: Sequence[_Request]) -> None:
        """Predicts requests of equally many views."""
        images = np.stack([request.images for request in requests])
        try:
            rows, points = self._predict(images, np.ones(images.shape[:2], bool))
        except Exception as error:  # whatever it is, each request is to be answered
            for request in requests:
                request.answer.set_exception(error)
            return
        for request, row, point in zip(requests, rows, points, strict=True):
            request.answer.set_result((row, point))

"""Batches of requests: together, in order, by number of views, and errors."""

import asyncio
import threading

import numpy as np
import pytest

from trainers.serving import batching, web


def serve(work, **options):
    """Runs `work` on a network of sums; returns its result and the batches."""
    shapes = []

    def predict(images, mask):
        shapes.append(images.shape[:2])
        assert mask.all()
        if images.max() == 255:
            raise ValueError("broken network")
        sums = images.sum((1, 2, 3, 4))
        return sums[:, None], np.stack([sums, sums], 1)

    batcher = batching.Batcher(predict, **{"most_images": 8, "most_requests": 100, **options})
    try:
        return asyncio.run(work(batcher)), shapes
    finally:
        batcher.close()


def views(count, value):
    return lambda: np.full((count, 1, 1, 1), value, np.uint8)


def test_requests_are_predicted_together_and_answered_in_their_order():
    # Decoding ends at the same time for all, so that a batch of one would be chance.
    gate = threading.Barrier(2)

    async def work(batcher):
        def decode(value):
            if value < 2:
                gate.wait()
            return views(1, value)()

        return await asyncio.gather(*(batcher.answer(lambda value=value: decode(value)) for value in range(20)))

    found, shapes = serve(work, wait_s=1)
    assert [int(row[0]) for row, _ in found] == list(range(20))
    assert [point.tolist() for _, point in found] == [[value, value] for value in range(20)]
    assert max(shapes) == (8, 1)
    assert sum(count for count, _ in shapes) == 20


def test_requests_of_different_numbers_of_views_are_not_padded():
    async def work(batcher):
        return await asyncio.gather(*(batcher.answer(views(1 + value % 3, value)) for value in range(9)))

    found, shapes = serve(work, wait_s=1)
    assert [int(row[0]) for row, _ in found] == [(1 + value % 3) * value for value in range(9)]
    assert {number for _, number in shapes} == {1, 2, 3}


def test_errors_reach_the_request_they_are_of():
    async def work(batcher):
        def bad():
            raise ValueError("no JPEG")

        with pytest.raises(ValueError, match="no JPEG"):
            await batcher.answer(bad)
        with pytest.raises(ValueError, match="broken network"):
            await batcher.answer(views(1, 255))
        return await batcher.answer(views(1, 7))

    assert serve(work)[0][0] == [7]


def test_a_full_queue_is_an_answer():
    async def work(batcher):
        gate = threading.Event()

        def late():
            gate.wait()
            return views(1, 3)()

        waiting = [asyncio.ensure_future(batcher.answer(late)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(web.Problem, match="503") as raised:
            await batcher.answer(views(1, 4))
        gate.set()
        assert raised.value.headers == {"Retry-After": "1"}
        assert raised.value.problem == "2 requests are waiting already."
        await asyncio.gather(*waiting)
        return await batcher.answer(views(1, 5))

    assert serve(work, most_requests=2)[0][0] == [5]

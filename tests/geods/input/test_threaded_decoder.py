"""Memory that is used again once nobody looks at it, and not before."""

import gc
import threading

import drawn_trees
import numpy as np
import pytest

from geods.input import threaded_decoder


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_the_last_view_is_gone():
    pool = threaded_decoder.BufferPool()
    first = pool.take((4, 8, 3))
    where, part = address(first), first[2:, :, 1]
    del first
    gc.collect()
    other = pool.take((4, 8, 3))
    assert address(other) != where, "the memory was handed out although a view of it is left"
    part[:] = 7
    del part
    gc.collect()
    assert address(pool.take((4, 8, 3))) == where


def test_another_size_has_other_memory():
    pool = threaded_decoder.BufferPool()
    where = address(pool.take((2, 2)))
    gc.collect()
    assert pool.take((3, 3)).shape == (3, 3)
    assert address(pool.take((4,))) == where


@pytest.mark.filterwarnings("error")
def test_a_tensor_on_the_memory_keeps_it():
    import tensorflow as tf

    pool = threaded_decoder.BufferPool()
    array = pool.take((2, 3))
    array[:] = 5
    tensor = tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    where = address(array)
    del array
    gc.collect()
    pool.take((2, 3))[:] = 9
    assert (tensor.numpy() == 5).all()
    del tensor
    gc.collect()
    assert where in {address(each) for each in [pool.take((2, 3)) for _ in range(2)]}


def test_a_batch_becomes_a_tensor_without_a_copy():
    import tensorflow as tf

    decoder, decoded = threaded_decoder.ThreadedDecoder(16, 24), set()

    def decode(contents: np.ndarray) -> np.ndarray:
        pixels = decoder.decode(contents)
        decoded.add(address(pixels))
        return pixels

    rows = tf.data.Dataset.from_tensors([[drawn_trees.jpeg(1, 16, 24), b""]] * 3).repeat(20)
    rows = rows.map(lambda contents: tf.numpy_function(decode, [contents], tf.uint8), num_parallel_calls=2)
    for batch in rows.prefetch(2):
        assert address(np.asarray(memoryview(batch))) in decoded
        assert batch.shape == (3, 2, 16, 24, 3)
        assert not batch[:, 1].numpy().any()
    kept = decoder.decode(np.array([b""], object))
    assert address(np.asarray(memoryview(threaded_decoder.as_tensor(kept)))) == address(kept)
    # Of 20 batches that were decoded.
    assert len(decoded) <= 12


def test_threads_never_share_a_buffer():
    pool, wrong = threaded_decoder.BufferPool(), []

    def work(number: int) -> None:
        for _ in range(200):
            array = pool.take((16, 16))
            array[:] = number
            if (array != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

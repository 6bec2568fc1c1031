"""Features in memory are those that were added, by the views of locations."""

import numpy as np

from geods.tree import imagery_tree
from trainers.streaming import feature_store


def test_rows_in_memory_are_those_that_were_added():
    store = feature_store.GrowingFeatures((2, 3))
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(0, 2, 3)).astype(np.float16)
    for number, views in enumerate([(1, 2), (3,), (1, 1, 1)]):
        places = [
            imagery_tree.Location(f"{number},{k}", number, k, 0, (imagery_tree.View(None, None, None),) * count)
            for k, count in enumerate(views)
        ]
        block = rng.normal(size=(sum(views), 2, 3)).astype(np.float16)
        store.add(places, block)
        rows = np.concatenate([rows, block])
    assert len(store) == len(rows) == 9
    assert store.rows.starts.tolist() == [0, 1, 3, 6, 7, 8, 9]
    chosen = rng.permutation(9)
    assert np.array_equal(store.take(chosen), rows[chosen])

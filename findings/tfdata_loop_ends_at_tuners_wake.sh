#!/bin/sh
# A loop over a tf.data.Dataset ends only when the thread that tunes it wakes up.
#
# Surprise: deleting the iterator of a dataset that was read to its end waits for the thread that adapts parallelism
# and buffers, although it has nothing to adapt here (no AUTOTUNE anywhere). That thread sleeps 10 ms, then 20, 40 and
# so on, each twice as long as before. A loop of 0.7 s takes 1.2 s, one of 6 s takes 10 s, with all cores idle.
# One would guess: the thread is woken when the iterator is deleted, and the loop is over with its last element.
# Seen with: TensorFlow 2.21.0 on Python 3.11, 2 cores. With options.autotune.enabled = False it takes no time.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow-cpu==2.21.0" 2>/dev/null ||
    "$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cat >"$folder/see.py" <<'PYTHON'
import time

import tensorflow as tf


def element(number):
    time.sleep(0.05)
    return number


def seconds(tuned):
    rows = tf.data.Dataset.range(60).map(lambda number: tf.numpy_function(element, [number], tf.int64)).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = tuned
    iterator = iter(rows.with_options(options))
    begin = time.perf_counter()
    for _ in iterator:
        pass
    end = time.perf_counter()
    del iterator
    return end - begin, time.perf_counter() - end


waits = {tuned: [seconds(tuned) for _ in range(3)] for tuned in (True, False)}
for tuned, all_ in waits.items():
    for loop_s, wait_s in all_:
        print(f"autotune {tuned}: the loop {loop_s:.2f} s, deleting its iterator {wait_s:.3f} s")
assert max(wait_s for _, wait_s in waits[True]) > 1, "deleting waits no more"
assert max(wait_s for _, wait_s in waits[False]) < 0.2, "deleting waits without tuning too"
PYTHON
"$folder/venv/bin/python" "$folder/see.py" 2>/dev/null

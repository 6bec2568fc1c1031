#!/usr/bin/env bash
# Surprise: the label -1, as pandas codes a missing country, DBSCAN noise and a lookup of cells a point outside, trains the last class in
# optax, and nothing at all in Keras on JAX; no error, no warning. Under TensorFlow the same Keras loss is an error.
# One would guess: an error, as a label outside the classes is no class; or that one Keras loss does the same on each backend.
# Seen: for 10 classes, optax.softmax_cross_entropy_with_integer_labels gives -1 the loss of class 9, the country last in the alphabet;
# 10, one too many, is NaN. keras.losses.SparseCategoricalCrossentropy on JAX gives both a loss of 0, and so the mean loss falls with
# each photograph without a label; on TensorFlow it raises InvalidArgumentError, on PyTorch IndexError. keras.layers.Embedding takes
# -1 as the last row on every backend. Way out: rows without a label are dropped or get weight 0 before the loss.
# Versions: keras 3.15.1, jax 0.10.2, optax 0.2.8, tensorflow-cpu 2.21.0, pandas 3.1.1, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 optax==0.2.8 \
    tensorflow-cpu==2.21.0 pandas==3.1.1 numpy==2.4.6
cd "$work"
cat >losses.py <<'PY'
"""Prints the losses of labels of countries, one of them missing, by Keras' backend and by optax."""

import sys

import keras
import numpy as np
import pandas

countries = pandas.Series([*"ABCDEFGHIJ", None]).astype("category")
labels = countries.cat.codes.to_numpy(dtype="int32")
scores = np.random.default_rng(0).normal(size=(len(labels), 10)).astype("float32")
scores[-1] = scores[9]
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
print(f"{keras.backend.backend():10} labels {labels.tolist()}")
try:
    by_keras = keras.ops.convert_to_numpy(loss(labels, scores))
    print(f"{'Keras':10} class 9: {by_keras[9]:.3f}, missing: {abs(by_keras[10]):.3f}")
    as_seen = by_keras[9] > 0.1 and by_keras[10] == 0
except Exception as error:
    print(f"{'Keras':10} {type(error).__name__}")
    as_seen = type(error).__name__ == "InvalidArgumentError"
if keras.backend.backend() == "jax":
    import optax

    by_optax = np.asarray(optax.softmax_cross_entropy_with_integer_labels(scores, labels))
    print(f"{'optax':10} class 9: {by_optax[9]:.3f}, missing: {by_optax[10]:.3f}")
    as_seen = as_seen and by_optax[10] == by_optax[9]
rows = keras.layers.Embedding(10, 1)
vectors = keras.ops.convert_to_numpy(rows(labels))
print(f"{'Embedding':10} class 9: {vectors[9, 0]:.4f}, missing: {vectors[10, 0]:.4f}")
sys.exit(0 if as_seen and labels[-1] == -1 and vectors[9, 0] == vectors[10, 0] else 1)
PY
KERAS_BACKEND=jax "$work/venv/bin/python" losses.py
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" losses.py 2>/dev/null

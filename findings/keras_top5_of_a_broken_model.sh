#!/usr/bin/env bash
# Surprise: Keras' top-5 accuracy counts every class that ties with the fifth best. A network that gives 10,000 cells one probability has
# a top-5 accuracy of 100 %, and on JAX so has one whose output is NaN.
# One would guess: 5 classes of 10,000, so 0.05 %, as scikit-learn has it; NaN never right; and the same figure on every backend.
# Seen: ties are everyday once probabilities are coarse. Those of a network that guesses (the best cell 0.3 %), in the steps of 1/256
# of an 8-bit softmax, are 0 for all but a few cells: its top-5 accuracy rises from 0.05 % to 88 %. A training that diverges
# to NaN shows 100 % on JAX and 0 % on TensorFlow, so that there its broken epoch is the best of all. k=1 counts alike;
# SparseCategoricalAccuracy does not. Way out: compare the label with the indices of ops.top_k, of scores in float32.
# Versions: keras 3.15.1, jax 0.10.2, tensorflow-cpu 2.21.0, scikit-learn 1.9.1, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 tensorflow-cpu==2.21.0 \
    scikit-learn==1.9.1 numpy==2.4.6
cd "$work"
cat >top5.py <<'PY'
"""Prints top-5 accuracies of outputs that know nothing, by Keras and by scikit-learn."""

import sys

import keras
import numpy as np
from sklearn.metrics import top_k_accuracy_score

LOCATIONS, CELLS = 2000, 10_000
draw = np.random.default_rng(0)
labels = draw.integers(0, CELLS, LOCATIONS)
scores = draw.normal(size=(LOCATIONS, CELLS)).astype("float32")
guessing = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
outputs = {
    "guessing": guessing,
    "guessing, in steps of 1/256": np.round(guessing * 256) / 256,
    "one probability for all": np.full_like(guessing, 1 / CELLS),
    "NaN": np.full_like(guessing, np.nan),
}
found = {}
for name, output in outputs.items():
    metric = keras.metrics.SparseTopKCategoricalAccuracy(k=5)
    metric.update_state(labels, output)
    found[name] = float(metric.result())
    other = "refused" if name == "NaN" else f"{top_k_accuracy_score(labels, output, k=5, labels=np.arange(CELLS)):.2%}"
    print(f"{keras.backend.backend():10} {name:28} {found[name]:7.2%}, scikit-learn {other}")
nan_is_right = keras.backend.backend() == "jax"
guess, coarse, same, nan = found.values()
sys.exit(0 if guess < 0.01 and coarse > 0.8 and same == 1 and nan == nan_is_right else 1)
PY
KERAS_BACKEND=jax "$work/venv/bin/python" top5.py
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" top5.py 2>/dev/null

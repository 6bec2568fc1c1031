#!/usr/bin/env bash
# Surprise: under KERAS_BACKEND=jax, model.fit and model.predict take batches of tf.data, and model.predict_on_batch
# refuses the very batch that predict has just taken, as a type that JAX does not know.
#
# One would guess that the three convert their inputs alike: Keras' guide to tf.data says that its datasets work with
# every backend, and a loop of one's own over a dataset calls predict_on_batch. The error comes from JAX's tracing and
# names neither Keras nor the dataset. A NumPy array of the batch is taken.
#
# Versions: keras 3.15.1, jax 0.10.2, tensorflow 2.21.0, Python 3.11.
# Behaviour seen: predict: (4, 2); predict_on_batch of the same tensor: TypeError; of its NumPy array: (4, 2).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 tensorflow==2.21.0
KERAS_HOME="$folder" KERAS_BACKEND=jax TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" "$folder/venv/bin/python" - <<'PROGRAM'
import sys

import keras
import numpy as np
import tensorflow as tf

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
images = np.arange(12, dtype="float32").reshape(4, 3)
batches = tf.data.Dataset.from_tensor_slices(images).batch(4)
print("predict:", model.predict(batches, verbose=0).shape)
batch = next(iter(batches))
try:
    print("predict_on_batch of the same tensor:", model.predict_on_batch(batch).shape)
    raised = False
except TypeError as error:
    print("predict_on_batch of the same tensor:", type(error).__name__, str(error)[:150])
    raised = True
print("predict_on_batch of its NumPy array:", model.predict_on_batch(batch.numpy()).shape)
sys.exit(0 if raised else 1)
PROGRAM

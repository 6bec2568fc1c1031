#!/usr/bin/env bash
# Surprise: H3 cells as whole numbers, given to JAX or put into an OpenVINO model, become one and the same cell: -1 in JAX and in
# Keras on JAX, 2147483647 in OpenVINO. No error, no warning, and OpenVINO still calls its result int64.
# One would guess: int64 stays int64, as in NumPy, TensorFlow, PyTorch and ONNX Runtime, or is refused. JAX warns where int64 is
# asked for by name, and raises OverflowError for a Python number.
# Seen: both compute in 32 bits. JAX keeps the lower ones, and those of a cell of resolution 0 to 4 are all ones: 50,000 random places
# have 45,920 cells of resolution 4, and one number in JAX; at resolution 5 they have 4 numbers, at resolution 8 about 1,370. S2's do
# likewise. OpenVINO cuts a table of cells off at the largest int32, so a model that ends with "cell of the best class" answers
# 2147483647 for every photograph. Way out: class numbers inside the network and a table of cells outside it, or jax_enable_x64.
# Versions: h3 4.5.0, jax 0.10.2, keras 3.15.1, openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check h3==4.5.0 jax==0.10.2 keras==3.15.1 openvino==2026.4.1 \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$work"
KERAS_BACKEND=jax "$work/venv/bin/python" - <<'PY'
import sys
import warnings

import jax.numpy as jnp
import keras
import numpy as np
import onnx
import onnxruntime
import openvino
from h3.api import numpy_int as h3
from onnx import TensorProto, helper, numpy_helper

draw = np.random.default_rng(0)
lat_deg = np.degrees(np.arcsin(draw.uniform(-1, 1, 50_000)))
lon_deg = draw.uniform(-180, 180, 50_000)
warnings.simplefilter("error")
distinct = {}
for resolution in (0, 2, 4, 5, 8):
    cells = np.array([h3.latlng_to_cell(*place, resolution) for place in zip(lat_deg, lon_deg)], dtype=np.int64)
    in_jax, in_keras = np.asarray(jnp.asarray(cells)), np.asarray(keras.ops.convert_to_tensor(cells))
    distinct[resolution] = [len(np.unique(some)) for some in (cells, in_jax, in_keras)]
    print(f"resolution {resolution}: {distinct[resolution][0]:6} cells, {distinct[resolution][1]:5} in JAX, such as {in_jax[0]}")
warnings.simplefilter("default")

table = np.array([h3.latlng_to_cell(*place, 2) for place in ((48.86, 2.35), (40.71, -74.01), (-1.29, 36.82))], dtype=np.int64)
probabilities = np.eye(3, dtype=np.float32)
graph = helper.make_graph(
    [helper.make_node("ArgMax", ["p"], ["best"], axis=1, keepdims=0), helper.make_node("Gather", ["table", "best"], ["cell"])],
    "cell of the best class",
    [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 3])],
    [helper.make_tensor_value_info("cell", TensorProto.INT64, ["n"])],
    [numpy_helper.from_array(table, "table")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "cells.onnx")
by_onnx = onnxruntime.InferenceSession("cells.onnx").run(None, {"p": probabilities})[0]
by_openvino = openvino.Core().compile_model("cells.onnx", "CPU")(probabilities)[0]
print("Paris, New York, Nairobi:", table.tolist())
print("ONNX Runtime:            ", by_onnx.tolist())
print("OpenVINO:                ", by_openvino.tolist(), by_openvino.dtype)
as_seen = all(distinct[resolution][1:] == [1, 1] for resolution in (0, 2, 4)) and distinct[4][0] > 45_000
as_seen = as_seen and distinct[5][1] == 4 and distinct[8][1] < 2000 and np.array_equal(by_onnx, table)
sys.exit(0 if as_seen and by_openvino.dtype == np.int64 and set(by_openvino.tolist()) == {2**31 - 1} else 1)
PY

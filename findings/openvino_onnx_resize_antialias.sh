#!/usr/bin/env bash
# Surprise: OpenVINO reads an ONNX Resize with antialias=1 as one with antialias=0, without an error, a warning or a log line.
# One would guess: opset 18 is among those it reads, so the attribute is honoured or the file refused.
# Seen: of noise shrunk to a quarter of its side, ONNX Runtime's antialiased result differs from OpenVINO's by up to 104 of 255
# levels (linear) and 166 (cubic), while OpenVINO's is that of antialias=0 to the last bit. So an encoder that shrinks photographs
# inside its graph (torch.onnx writes antialias=1 for F.interpolate(antialias=True)) has other features on each runtime.
# Versions: openvino 2026.4.1, onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import helper

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 96)).astype(np.float32)


def results(mode, antialias):
    sizes = helper.make_tensor("sizes", onnx.TensorProto.INT64, [4], [1, 3, 16, 24])
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode=mode, antialias=antialias)
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 64, 96]), ("y", [1, 3, 16, 24]))
    ]
    graph = helper.make_graph([node], "resize", ends[:1], ends[1:], [sizes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, "resize.onnx")
    by_onnx_runtime = onnxruntime.InferenceSession("resize.onnx").run(None, {"x": IMAGE})[0]
    return by_onnx_runtime, openvino.Core().compile_model("resize.onnx", "CPU")(IMAGE)[0].copy()


as_seen = True
for mode in ("linear", "cubic"):
    plain, antialiased = results(mode, 0), results(mode, 1)
    apart = [np.abs(one[0] - one[1]).max() for one in (plain, antialiased)]
    same = np.array_equal(plain[1], antialiased[1])
    print(f"{mode}: runtimes differ by {apart[0]:.1f} levels with antialias=0, by {apart[1]:.1f} with 1;", end=" ")
    print(f"OpenVINO gives {'the same' if same else 'another result'} for both")
    as_seen &= same and apart[0] < 2 and apart[1] > 50
sys.exit(0 if as_seen else 1)
PY

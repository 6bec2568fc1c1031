#!/usr/bin/env bash
# Surprise: a Keras model that ends in ops.argmax or ops.argmin exports to ONNX without an error, and the file cannot be opened.
# One would guess: argmax is one of ONNX' oldest operators, and an export that cannot be expressed fails when it is written.
# Seen: model.export(format="onnx") returns normally. Under TensorFlow, Keras' argmax first looks at the bits of its values (Bitcast),
# so that -0.0 ranks below 0.0; tf2onnx knows no such operator and copies TensorFlow's into the file, and ONNX Runtime refuses it
# with "No Op registered for Bitcast". The same model with ops.top_k(x, 1) opens and gives the same answer.
# Versions: keras 3.15.1, tensorflow-cpu 2.21.0, tf2onnx 1.17.0, onnxruntime 1.32.0, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 tf2onnx==1.17.0 onnxruntime==1.32.0
cat > "$folder/look.py" <<'PYTHON'
import sys

import keras
import numpy as np
import onnxruntime


class First(keras.layers.Layer):
    def __init__(self, name_of_op, **options):
        super().__init__(**options)
        self.name_of_op = name_of_op

    def call(self, values):
        if self.name_of_op == "top_k":
            return keras.ops.top_k(values, 1)[1]
        return getattr(keras.ops, self.name_of_op)(values, axis=-1, keepdims=True)


values = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
seen = {}
for name in ("argmax", "argmin", "top_k"):
    given = keras.Input((6,))
    model = keras.Model(given, First(name)(given))
    wanted = np.asarray(model(values))
    path = f"{sys.argv[1]}/{name}.onnx"
    model.export(path, format="onnx", verbose=False)
    try:
        session = onnxruntime.InferenceSession(path)
        (found,) = session.run(None, {session.get_inputs()[0].name: values})
        seen[name] = "same answer" if np.array_equal(found, wanted) else "another answer"
    except Exception as error:
        seen[name] = "not opened: Bitcast" if "No Op registered for Bitcast" in str(error) else f"not opened: {error}"
    print(name, seen[name])
sys.exit(seen != {"argmax": "not opened: Bitcast", "argmin": "not opened: Bitcast", "top_k": "same answer"})
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow "$folder/venv/bin/python" "$folder/look.py" "$folder" 2>"$folder/log" || {
    tail -5 "$folder/log"
    echo "changed"
    exit 1
}

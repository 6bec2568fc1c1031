"""Predictions of exported files, by the runtime of each format and without Keras.

    python -m model.export.runners PATH INPUTS.npz OUTPUTS.npz

runs the batches of INPUTS.npz (`image0`, `view_mask0`, `image1`, ..., or of a SavedModel `bytes0`, the JPEGs one after
another, and `sizes0` `[b, v]`, ...) and writes the outputs of all of them, row after row, under their names.
"""

import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Batch = dict[str, np.ndarray]
Runner = Callable[[Batch], Batch]


def opened(path: pathlib.Path) -> Runner:
    """Opens an exported file.

    Args:
        path: What `formats.write` returned.

    Returns:
        A function from {"image": uint8 `[b, v, h, w, 3]`, "view_mask": bool `[b, v]`}, or {"jpeg": object `[b, v]`}
        for a SavedModel, to the arrays of `graph.OUTPUTS`.
    """
    return {"": _saved_model, ".onnx": _onnx, ".xml": _openvino, ".tflite": _litert}[path.suffix](path)


def _saved_model(path: pathlib.Path) -> Runner:
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda batch: {name: value.numpy() for name, value in serve(jpeg=tf.constant(batch["jpeg"])).items()}


def _onnx(path: pathlib.Path) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda batch: dict(zip(names, session.run(names, batch), strict=True))


def _openvino(path: pathlib.Path) -> Runner:
    import openvino

    # Its default is bfloat16 where the processor has it, which changes log-probabilities in the second digit.
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(batch: Batch) -> Batch:
        result: Any = compiled(batch)
        return {output.get_any_name(): result[output] for output in compiled.outputs}

    return run


def _litert(path: pathlib.Path) -> Runner:
    from ai_edge_litert import interpreter

    run = interpreter.Interpreter(model_path=str(path)).get_signature_runner()
    return lambda batch: run(**batch)


def joined(jpegs: np.ndarray) -> Batch:
    """Returns JPEGs `[b, v]` as arrays without pickle: bytes `[n]`, sizes `[b, v]`."""
    content = b"".join(jpegs.ravel().tolist())
    return {"bytes": np.frombuffer(content, np.uint8), "sizes": np.vectorize(len, otypes=[np.int64])(jpegs)}


def _jpegs(bytes: np.ndarray, sizes: np.ndarray) -> np.ndarray:  # noqa: A002 - the name in the file
    """Returns JPEGs as `joined` was given them, object `[b, v]`."""
    parts = np.split(bytes, np.cumsum(sizes.ravel())[:-1])
    result = np.empty(sizes.size, dtype=object)
    result[:] = [part.tobytes() for part in parts]
    return result.reshape(sizes.shape)


def main(path: str, inputs: str, outputs: str) -> None:
    """Runs all batches of a file through an exported network."""
    run = opened(pathlib.Path(path))
    with np.load(inputs, allow_pickle=False) as given:
        names = sorted({name.rstrip("0123456789") for name in given.files})
        batches = [{name: given[f"{name}{n}"] for name in names} for n in range(len(given.files) // len(names))]
    results = [run({"jpeg": _jpegs(**one)} if "bytes" in one else one) for one in batches]
    joined: dict[str, Any] = {name: np.concatenate([one[name] for one in results]) for name in results[0]}
    np.savez(outputs, **joined)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Choice of runtime and precision for an extraction, from cache and machine.

OpenVINO encodes 1.2 (ResNet50) to 1.8 times (MobileNetV2) as fast as TensorFlow on a CPU in float32. In bfloat16 it is
faster still where the processor has matrix units for it, and slower elsewhere (docs/speed.md).
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from geods import errors
from geods.cli import backend
from model.encoders import backbones, onnx_files
from trainers.features import cache_format, processor, runtimes
from trainers.options import extract_options

AUTO = "auto"
# Of one image's features in bfloat16 to those in float32; MobileNetV2's pooled features have 0.9984.
LEAST_COSINE = 0.998
_BFLOAT16 = "mixed_bfloat16"
_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch", "openvino": "OpenVINO"}


def resolve(
    options: extract_options.RuntimeOptions,
    cache: extract_options.CacheOptions,
    spec: backbones.BackboneSpec,
    first_images: Callable[[], np.ndarray],
) -> extract_options.RuntimeOptions:
    """Resolves "auto" in runtime and precision, and prints one line.

    A cache keeps the runtime and the precision that it was started with, so that the same command resumes it, and
    splits that are extracted later agree with earlier ones.

    Args:
        options: The flags.
        cache: The cache to write.
        spec: The encoder.
        first_images: Returns some images of the dataset, uint8 `[n, h, w, 3]`; called only where bfloat16 is faster.

    Returns:
        The options without "auto"; as they are if they have none.
    """
    if AUTO not in (options.runtime, options.precision):
        return options
    kept = _kept(cache)
    runtime: Any
    if onnx_files.is_onnx(spec.name):
        # Its library and its arithmetic are its own.
        runtime, why = options.runtime.replace(AUTO, "tensorflow"), "for ONNX files"
    elif options.runtime == AUTO:
        runtime, why = (kept.runtime, "") if kept else _runtime(options.precision)
    else:
        runtime, why = options.runtime, ""
    precision: Any = options.precision
    if precision == AUTO and kept and kept.runtime == runtimes.name_of(runtime, spec.name):
        precision, why = kept.precision, "as in the cache"
    elif precision == AUTO:
        precision, reason = _precision(spec, first_images) if runtime == "openvino" else ("float32", "")
        why = why or reason
    name = runtimes.name_of(runtime, spec.name)
    name = backend.name() if name == "tensorflow" else name
    reason = f" ({why})" if why else ""
    print(f"encoder: {_NAMES.get(name, name)}, {precision.removeprefix('mixed_')}{reason}", flush=True)
    return dataclasses.replace(options, runtime=runtime, precision=precision)


def _kept(cache: extract_options.CacheOptions) -> cache_format.CacheKey | None:
    """Returns the key of a cache that stays in the folder, if any.

    One of the splits to extract comes before others.
    """
    for path in sorted(
        pathlib.Path(cache.cache_dir).glob(f"*/{cache_format.INDEX}"),
        key=lambda path: (path.parent.name not in cache.splits, path),
    ):
        # A damaged one is reported where it is read for its features.
        with contextlib.suppress(errors.CacheError):
            if not (cache.overwrite and path.parent.name in cache.splits):
                return cache_format.CacheKey(**cache_format.read_index(path.parent)["key"])
    return None


def _runtime(precision: str) -> tuple[str, str]:
    """Returns the runtime of a new cache, and the reason if it is not OpenVINO."""
    import tensorflow as tf

    if precision == runtimes.INT8:
        return "openvino", ""
    if backend.name() != backend.DEFAULT:
        return "tensorflow", f"Keras' backend is {backend.name()}"
    if tf.config.list_physical_devices("GPU"):
        return "tensorflow", "on the GPU"
    # float16 is for GPUs, which TensorFlow runs.
    if precision == "mixed_float16":
        return "tensorflow", ""
    problem = errors.problem_with_library("openvino", "OpenVINO")
    return ("tensorflow" if problem else "openvino"), problem


def _precision(spec: backbones.BackboneSpec, first_images: Callable[[], np.ndarray]) -> tuple[str, str]:
    """Returns the precision of a new cache by OpenVINO, and the reason."""
    if not processor.has_fast_bfloat16():
        # Never chosen unasked: single features move (least cosine 0.97), though the errors of `best` do not.
        faster = "; --precision=int8 is, several times" if processor.has_fast_int8() else ""
        return "float32", f"bfloat16 is no faster on this processor{faster}"
    images = first_images()
    backbone = backbones.build(spec)
    found, expected = (
        runtimes.compiled(backbone, len(images), "openvino", precision)(images).reshape(len(images), -1)
        for precision in (_BFLOAT16, "float32")
    )
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = float(np.min((found * expected).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)))
    least = f"least cosine of bfloat16 to float32 {cosine:.4f}"
    if cosine < LEAST_COSINE:
        return "float32", f"{least}, below {LEAST_COSINE}"
    return _BFLOAT16, least

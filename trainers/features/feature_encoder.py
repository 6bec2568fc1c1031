"""The frozen encoder of an extraction: its specification, built and compiled."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras

from model.encoders import backbones, fine_tuning, onnx_files
from trainers.features import quantization, runtimes
from trainers.options import extract_options, stages


def prepare(
    spec: backbones.BackboneSpec,
    runtime: extract_options.RuntimeOptions,
    cache: extract_options.CacheOptions,
    builder: Any,  # noqa: ANN401 - TFDS' own
    calibrates: bool,
) -> tuple[Callable[..., runtimes.Forward], Any]:
    """Builds the encoder.

    Args:
        spec: The encoder.
        runtime: How it is run, with `decode` as chosen.
        cache: The cache, which holds the calibrated encoder of --precision=int8.
        builder: The dataset, from `dataset_reader.open_builder`.
        calibrates: Whether to calibrate the encoder of --precision=int8 if there is none.

    Returns:
        A function that compiles it, with `threads` if given, and the Keras model.
    """
    # An ONNX file takes its arithmetic from the policy.
    is_onnx = onnx_files.is_onnx(spec.name)
    policy = runtime.precision if is_onnx else runtimes.policy_of(runtime.runtime, runtime.precision)
    keras.mixed_precision.set_dtype_policy(policy)
    backbone = backbones.build(spec)
    quantized_path = None
    if runtime.precision == runtimes.INT8:
        quantized_path = quantization.path_of(cache.cache_dir)
        if calibrates:
            quantization.calibrate(runtime, cache, spec, builder, backbone)
    how = (runtime.batch_size, runtime.runtime, runtime.precision, quantized_path)
    return functools.partial(runtimes.compiled, backbone, *how), backbone


def spec_of(encoder: stages.EncoderOptions, seed: int) -> backbones.BackboneSpec:
    """Returns the encoder's specification, cut before the blocks to train, if any."""
    spec = backbones.BackboneSpec(
        name=encoder.backbone,
        weights=encoder.backbone_weights,
        layer=encoder.layer,
        pooling=encoder.pooling,
        height_px=encoder.height_px,
        width_px=encoder.width_px,
        more_heights_px=encoder.more_heights_px,
        preprocessing=encoder.preprocessing,
        seed=seed,
        mean=encoder.mean,
        scale=encoder.scale,
    )
    if encoder.unfreeze and not spec.layer:
        return dataclasses.replace(spec, layer=fine_tuning.layer_before(spec, encoder.unfreeze))
    return spec

"""Frozen encoder of an extraction, built and compiled as the options say."""

import dataclasses
from typing import Any

import keras

from model.encoders import backbones, fine_tuning
from trainers.features import encode_dataset, quantization, runtimes
from trainers.options import encoder_options


def prepare(
    settings: encoder_options.ExtractOptions,
    builder: Any,  # noqa: ANN401 - TFDS' own
    calibrates: bool,
) -> tuple[encode_dataset.ImageFeatures, Any]:
    """Builds the encoder and makes it ready.

    Args:
        settings: What to extract, with `decode` as chosen.
        builder: The dataset, from `dataset_reader.open_builder`.
        calibrates: Whether to make what --precision=int8 computes with, if it is not there.

    Returns:
        What gives the features of a dataset, and the encoder.
    """
    keras.mixed_precision.set_dtype_policy(runtimes.policy_of(settings.runtime, settings.precision))
    backbone = backbones.build(spec_of(settings))
    quantized_path = None
    if settings.precision == runtimes.INT8:
        quantized_path = quantization.path_of(settings.cache_dir)
        if calibrates:
            quantization.calibrate(settings, spec_of(settings), builder, backbone)
    forward = runtimes.compiled(backbone, settings.batch_size, settings.runtime, settings.precision, quantized_path)
    return encode_dataset.ImageFeatures(builder, forward, settings), backbone


def spec_of(settings: encoder_options.EncoderOptions) -> backbones.BackboneSpec:
    """Returns the encoder that the flags describe: up to the blocks to train if there are any."""
    spec = backbones.BackboneSpec(
        name=settings.backbone,
        weights=settings.backbone_weights,
        layer=settings.layer,
        pooling=settings.pooling,
        height_px=settings.height_px,
        width_px=settings.width_px,
        more_heights_px=settings.more_heights_px,
        preprocessing=settings.preprocessing,
        seed=settings.seed,
    )
    if settings.unfreeze and not spec.layer:
        return dataclasses.replace(spec, layer=fine_tuning.layer_before(spec, settings.unfreeze))
    return spec

"""Features of several encoders in one run, one of them from an ONNX file."""

import dataclasses

import keras
import numpy as np
import pytest
import real_encoder
import road

from geods import errors
from geods.cli import flags as cli_flags
from geods.dataset import dataset_reader
from geods.input import pipeline
from model.encoders import backbones
from trainers import extract, train
from trainers.evaluation import keras_predictor
from trainers.features import joined_cache
from trainers.options import extract_options, train_options
from trainers.training import run


@pytest.fixture(scope="module")
def onnx_flags(tmp_path_factory):
    """Flags of an encoder that Keras exports; its file stays where it is."""
    keras.utils.set_random_seed(1)
    images = keras.Input((32, 48, 3))
    network = keras.Model(images, keras.layers.Conv2D(6, 5, strides=4, activation="relu")(images))
    path = real_encoder.exported(network, tmp_path_factory.mktemp("onnx") / "tiny.onnx")
    return {"backbone": f"onnx:{path}", "mean": "inception", "height_px": 32, "width_px": 48}


@pytest.fixture(scope="module")
def caches(onnx_flags, data_dir, tmp_path_factory):
    """Second moments of two encoders, one of them at two sizes."""
    folder = tmp_path_factory.mktemp("caches")
    other = road.MAPS_FIELDS | {"layer": "block_2_add", "more_heights_px": (16,), "runtime": "tensorflow"}
    where = {"data_dir": str(data_dir), "config": "random", "pooling": "moments", "cache_dtype": "float32"}
    for name, fields in (("onnx", onnx_flags), ("keras", other)):
        extract.main(cli_flags.build(extract_options.ExtractOptions, **where, **fields, cache_dir=str(folder / name)))
    return [str(folder / "onnx"), str(folder / "keras")]


@pytest.mark.parametrize("head", ["kernel", "linear"])
def test_a_run_on_joined_caches_predicts_the_same_from_images(caches, data_dir, tmp_path, head, monkeypatch):
    settings = {"data_dir": str(data_dir), "config": "random", "validation_split": "", "head": head, "epochs": 1}
    run_dir = str(tmp_path / "run")
    train.main(cli_flags.build(train_options.TrainOptions, **settings, cache_dir=caches, run_dir=run_dir))
    model = keras_predictor.KerasPredictor(tmp_path / "run")
    assert model.options.data.cache_dir == tuple(caches)
    cache = joined_cache.open_split(caches, "test")
    assert cache.feature_shape == (2 * 21 + 4 * 300,)
    assert cache.key.backbone == "onnx:tiny.onnx+mobilenet_v2"
    shape = pipeline.PipelineOptions(32, 48, batch_size=8)
    batches = pipeline.batches(dataset_reader.open_builder(data_dir, "random"), "test", shape)
    cached, imaged = next(model.feature_pieces(cache, 8)), model.predict(batches)
    np.testing.assert_allclose(imaged[0], cached[0], rtol=0.02, atol=0.02)
    swapped = dataclasses.replace(cache.key, pooling="avg+max")
    monkeypatch.setattr(cache, "key", swapped)
    with pytest.raises(errors.CacheError, match="its encoders differ, or their order"):
        next(model.feature_pieces(cache, 8))
    with pytest.raises(errors.CacheError, match="are not those of"):
        next(model.feature_pieces(joined_cache.open_split(caches[:1], "test"), 8))


def test_features_that_cannot_be_joined_are_refused(caches, cache_dir, maps_of, onnx_flags, tmp_path):
    decode = ('"decode": "cpu"', '"decode": "cpu, exact pixels"')
    exact = [road.cache_of_others(folder, tmp_path / str(n), *decode) for n, folder in enumerate(caches)]
    with pytest.raises(errors.CacheError, match="decode is 'cpu', wanted 'cpu, exact pixels'"):
        joined_cache.open_split([exact[0], caches[1]], "test")
    decoded = [
        run._with_encoder_of_cache(cli_flags.build(train_options.TrainOptions, cache_dir=tuple(map(str, some))))
        for some in (caches, exact)
    ]
    assert [one.data.exact_pixels for one in decoded] == [False, True]
    with pytest.raises(errors.CacheError, match="holds feature maps"):
        joined_cache.open_split([caches[0], maps_of("block_2_add")], "test")
    joined = joined_cache.open_split([caches[0], cache_dir], "test")
    assert joined.take(np.arange(3)).dtype == np.float32, "float16 and float32"
    part = backbones.BackboneSpec("mobilenet_v2", "random", height_px=16, width_px=24)
    with pytest.raises(errors.BackboneError, match=r"32x48 and 16x24 px cannot be joined"):
        backbones.JoinedSpec((backbones.spec_of(joined.spec).parts[0], part), (1, 1))
    options = {"cache_dir": caches, "unfreeze": "last_block", "head": "linear", "run_dir": "never"}
    with pytest.raises(errors.OptionError, match="gives no gradients"):
        cli_flags.build(train_options.TrainOptions, backbone="onnx:a", **options)
    with pytest.raises(errors.OptionError, match="--train_backbone with --backbone=onnx:a"):
        cli_flags.build(train_options.TrainOptions, backbone="onnx:a", train_backbone=True)
    with pytest.raises(errors.OptionError, match="--precision=int8 with --backbone=onnx:a"):
        cli_flags.build(extract_options.ExtractOptions, backbone="onnx:a", precision="int8", runtime="openvino")
    with pytest.raises(errors.OptionError, match="--mean and --scale with --backbone=resnet50"):
        cli_flags.build(extract_options.ExtractOptions, mean="clip")

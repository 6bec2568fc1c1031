"""An 8-bit encoder: near float32, made once, not taken for another."""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import road
from real_encoder import IMAGES, WEIGHTS, cosines, features, spec

from geods import errors
from geods.cli import flags as cli_flags
from geods.storage import seals
from model.encoders import backbones
from trainers.features import feature_cache, quantization, runtimes
from trainers.options import extract_options

OPENVINO = ("--runtime=openvino", "--precision=int8")


def quantized(backbone: keras.Model, images: np.ndarray, folder: pathlib.Path) -> runtimes.Forward:
    """Returns an encoder calibrated on the images that it is then shown."""
    path = quantization.save(folder, runtimes.quantized(backbone, np.split(images, len(images) // 2)))
    return runtimes.compiled(backbone, len(images), "openvino", "int8", path)


@pytest.mark.parametrize("more", [(), (16,)])
def test_features_in_8_bits_are_near(tmp_path, more):
    backbone = backbones.build(spec(more_heights_px=more))
    forward, expected = quantized(backbone, IMAGES, tmp_path), features(backbone)
    found = forward(IMAGES)
    assert found.dtype == np.float32
    assert cosines(found, expected).min() > 0.99
    assert not np.allclose(found, expected, rtol=1e-4), "these are the features in float32"
    # Steps of 1/255 of the largest value, so the graph computes in them and does not only round its input.
    assert b"FakeQuantize" in (tmp_path / "encoder.xml").read_bytes()


def test_the_same_images_give_the_same_encoder():
    backbone = backbones.build(spec())
    weights = {runtimes.quantized(backbone, [IMAGES])[1] for _ in range(2)}
    assert len(weights) == 1
    assert runtimes.quantized(backbone, [IMAGES // 2])[1] not in weights


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="no real encoder weights beside the checkout")
def test_real_weights_too(tmp_path):
    backbone = backbones.build(spec(weights=str(WEIGHTS), layer="", height_px=96, width_px=96))
    smooth = np.random.default_rng(1).integers(0, 256, (4, 6, 6, 3)).astype(np.float32)
    images = np.array(keras.ops.image.resize(smooth, (96, 96))).astype(np.uint8)
    assert cosines(quantized(backbone, images, tmp_path)(images), features(backbone, images)).min() > 0.9


@pytest.fixture(scope="module")
def caches(extract_flags, tmp_path_factory):
    """A folder with two splits in 8 bits, and the output of the first extraction.

    The second is extracted by a later run.
    """
    folder = tmp_path_factory.mktemp("int8")
    flags = [*extract_flags, f"--cache_dir={folder}", *OPENVINO]
    said = road.program("trainers.extract", *flags, "--splits=test").stdout
    later = road.program("trainers.extract", *flags, "--splits=validation").stdout
    return folder, said, later


def test_all_splits_share_one_encoder(caches):
    folder, said, later = caches
    assert "calibrating on" in said
    assert "of split 'train'" in said
    assert "calibrating" not in later
    keys = [feature_cache.FeatureCache(folder / split).key for split in ("test", "validation")]
    assert keys[0].quantized_sha256 == keys[1].quantized_sha256 == quantization.sha256_of(folder)
    assert {key.precision for key in keys} == {"int8"}


def test_extracted_features_are_near_those_in_float32(caches, cache_dir):
    found, expected = (feature_cache.FeatureCache(folder / "test") for folder in (caches[0], cache_dir))
    rows = np.arange(len(expected))
    assert cosines(found.take(rows), expected.take(rows)).min() > 0.98


def test_a_lost_encoder_is_not_replaced_by_one_of_other_images(caches, extract_flags, tmp_path):
    shutil.copytree(caches[0], tmp_path / "cache")
    noted = tmp_path / "cache/test/index.json"
    index = json.loads(noted.read_text())
    index["key"]["quantized_sha256"] = "of other images"
    del index["index_sha256"]
    noted.write_text(json.dumps(index))
    flags = [*extract_flags, f"--cache_dir={tmp_path / 'cache'}", *OPENVINO, "--splits=test"]
    refused = road.program("trainers.extract", *flags, expect=2)
    assert "quantized_sha256 is 'of other images'" in refused.stderr
    road.program("trainers.extract", *flags, "--overwrite")
    assert feature_cache.FeatureCache(tmp_path / "cache/test").key.quantized_sha256 == quantization.sha256_of(caches[0])


def of_no_key(folder):
    (folder / "made_of.json").write_text("{}")
    seals.renew(folder, ["made_of.json"])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "encoder.bin").write_bytes(b"x"), "encoder.bin: has 1 bytes"),
        (lambda folder: (folder / "encoder.xml").unlink(), "encoder.xml: is missing"),
        (lambda folder: (folder / "made_of.json").write_text("{}"), "made_of.json: has 2 bytes"),
        (lambda folder: (folder / "seal.json").write_text("["), "seal.json: is damaged"),
        (lambda folder: (folder / "made_of.json").unlink(), "made_of.json: is missing"),
        (of_no_key, "made_of.json: is damaged"),
    ],
)
def test_a_damaged_encoder_is_refused(caches, extract_flags, tmp_path, damage, said):
    shutil.copytree(caches[0] / "int8", tmp_path / "int8")
    damage(tmp_path / "int8")
    flags = [*extract_flags, f"--cache_dir={tmp_path}", *OPENVINO, "--splits=test"]
    refused = road.program("trainers.extract", *flags, expect=2)
    assert said in refused.stderr
    assert "--overwrite" in refused.stderr
    whole = damage is of_no_key
    verified = road.program("tools.verify", tmp_path, expect=0 if whole else 2).stdout
    folder = tmp_path / "int8"
    assert (f"whole    {folder}: encoder" if whole else f"damaged  {folder}/{said}") in verified
    assert ("with --overwrite" in verified) is not whole


def test_an_encoder_of_other_flags_is_refused(caches, extract_flags):
    flags = [*extract_flags, f"--cache_dir={caches[0]}", *OPENVINO, "--splits=train"]
    refused = road.program("trainers.extract", *flags, "--pooling=max", expect=2)
    assert "pooling is 'avg', wanted 'max'" in refused.stderr


def test_8_bits_need_openvino_and_nncf(monkeypatch):
    with pytest.raises(errors.OptionError, match=r"only OpenVINO computes in 8 bits(.|\n)*add --runtime=openvino"):
        cli_flags.build(extract_options.ExtractOptions, precision="int8", runtime="tensorflow")
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.OptionError, match=r"--precision=int8: (.|\n)*geods\[int8\]"):
        runtimes.check_runtime("openvino", "int8")

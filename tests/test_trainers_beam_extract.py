"""Extraction by the workers of a Beam runner gives the cache that one process gives, bit by bit."""

import dataclasses
import json
import shutil

import pytest
import road
import test_geods_reproducible as reproducible

from geods import errors
from trainers import beam_extract, features, options


def hashes(folder):
    return {name: digest for name, digest in reproducible.hashes(folder).items() if not name.endswith(".lock")}


def test_the_cache_is_the_same_to_the_last_bit_and_only_what_is_missing_is_computed(extract_flags, tmp_path):
    # Blocks that begin inside a location and inside a batch.
    flags = [*extract_flags, "--block_rows=50", "--cache_dtype=float32", "--splits=train", "--variants=1", "--crop=0.2"]
    road.program("trainers.extract", *flags, f"--cache_dir={tmp_path / 'here'}")
    whole = hashes(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "beam")
    lost = [f"train/{name}" for name in ("blocks/00001.npy", "blocks/00004.npy", "variant1/blocks/00003.npy")]
    for name in lost:
        (tmp_path / "beam" / name).unlink()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "beam").rglob("0*.npy")}
    on_beam = "--beam_pipeline_options=runner=DirectRunner"
    done = road.program("trainers.extract", *flags, f"--cache_dir={tmp_path / 'beam'}", on_beam)
    assert hashes(tmp_path / "beam") == whole
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert "blocks are there already" in done.stdout


def test_a_worker_with_other_weights_is_refused_and_writes_nothing(data_dir, cache_dir, tmp_path):
    settings = options.ExtractOptions(
        **road.ENCODER_FIELDS,
        data_dir=str(data_dir),
        config="random",
        layer="block_3_expand_relu",
        pooling="avg",
        seed=1,
    )
    mine = features.FeatureCache(cache_dir / "test").key.weights_sha256
    with pytest.raises(errors.BeamError, match=r"a worker's mobilenet_v2 with .* has other weights"):
        beam_extract.write_block(
            (0, 0, (0, 0), 0, 3), json.dumps(dataclasses.asdict(settings)), str(tmp_path), "test", 0, mine
        )
    assert list(tmp_path.iterdir()) == []

"""Extraction by Beam's workers gives the cache of one process, bit by bit."""

import json
import shutil

import drawn_datasets
import pytest
import road

from geods import errors
from geods.cli import flags as cli_flags
from trainers.features import beam_extraction, feature_cache
from trainers.options import extract_options


def hashes(folder):
    return {name: digest for name, digest in drawn_datasets.hashes(folder).items() if not name.endswith(".lock")}


def test_the_cache_is_the_same_to_the_last_bit_and_only_what_is_missing_is_computed(extract_flags, tmp_path):
    # Blocks that begin inside a location and inside a batch.
    flags = [
        *(flag for flag in extract_flags if "block_rows" not in flag),
        "--block_rows=10",
        "--cache_dtype=float32",
        "--splits=test",
    ]
    road.program("trainers.extract", *flags, f"--cache_dir={tmp_path / 'here'}")
    whole = hashes(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "beam")
    blocks = tmp_path / "beam" / "test" / "blocks"
    for name in ("00001.npy", "00003.npy"):
        (blocks / name).unlink()
    kept = {path: path.stat().st_ino for path in blocks.iterdir()}
    on_beam = "--beam_pipeline_options=runner=DirectRunner"
    done = road.program("trainers.extract", *flags, f"--cache_dir={tmp_path / 'beam'}", on_beam)
    assert hashes(tmp_path / "beam") == whole
    assert {path: path.stat().st_ino for path in kept} == kept
    assert "blocks are there already" in done.stdout


def test_a_worker_with_other_weights_is_refused_and_writes_nothing(data_dir, cache_dir, tmp_path):
    settings = cli_flags.build(
        extract_options.ExtractOptions,
        **road.ENCODER_FIELDS,
        data_dir=str(data_dir),
        config="random",
        seed=1,
        runtime="tensorflow",
        precision="float32",
    )
    mine = feature_cache.FeatureCache(cache_dir / "test").key.weights_sha256
    with pytest.raises(errors.BeamError, match=r"a worker's report_cnn with .* has other weights"):
        beam_extraction.write_block(
            (0, 0, (0, 0), 0, 3), json.dumps(cli_flags.values_of(settings)), str(tmp_path), "test", 0, mine
        )
    assert list(tmp_path.iterdir()) == []

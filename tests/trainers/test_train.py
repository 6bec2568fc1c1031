"""Training by the real program: it learns, repeats, and explains mistakes."""

import dataclasses
import re

import numpy as np
import pytest
import road

from geods import errors
from geods.geo import partition
from model import geolocator
from trainers.features import named_features
from trainers.options import train_options
from trainers.runs import run_folder


def test_a_run_leaves_everything_behind(run_dir):
    for name in (run_folder.FLAGS, run_folder.PARTITION, run_folder.MODEL, run_folder.CHECKPOINT):
        assert (run_dir / name).is_file()
    assert list(run_dir.glob(run_folder.EVENTS))
    text = (run_dir / "stdout.txt").read_text()
    assert "trainable parameters" in text
    assert re.search(r"note: \d\d validation locations choose the epoch: below 30 that is mostly chance", text)
    assert "epoch 1/20: loss" in text
    assert f"next: python -m trainers.evaluate --run_dir={run_dir}" in text


def test_the_saved_model_takes_images(run_dir):
    model = geolocator.load(run_dir / run_folder.MODEL)
    images = np.zeros((2, 3, 32, 48, 3), np.uint8)
    result = model.predict_on_batch({"image": images, "view_mask": np.ones((2, 3), bool)})
    cells = partition.read(run_dir / run_folder.PARTITION)
    assert result["log_probabilities"].shape == (2, len(cells))
    assert np.allclose(np.exp(result["log_probabilities"]).sum(axis=1), 1, atol=1e-5)
    assert result["coords"].shape == (2, 2)


def test_the_flag_file_of_a_run_repeats_it_to_the_last_bit(run_dir, train_flags, tmp_path):
    flags = [*train_flags, "--train_split=test", "--batch_size=8", "--epochs=2", "--deterministic", "--fusion=lstm"]
    flags += ["--feature_dropout=0.2", "--view_mixup=0.3", "--view_dropout=0.3", "--loss=label_smoothing"]
    road.program("trainers.train", *flags, f"--run_dir={tmp_path / 'a'}")
    road.program("trainers.train", f"--flagfile={tmp_path / 'a' / run_folder.FLAGS}", f"--run_dir={tmp_path / 'b'}")
    first, second = (geolocator.load(tmp_path / name / run_folder.MODEL).get_weights() for name in "ab")
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_end_to_end_from_images_trains_the_encoder_in_mixed_precision(data_dir, tmp_path):
    done = road.program(
        "trainers.train",
        f"--data_dir={data_dir}",
        "--config=random",
        *road.ENCODER,
        "--train_backbone",
        "--precision=mixed_bfloat16",
        "--train_split=test",
        "--epochs=2",
        f"--run_dir={tmp_path}",
    )
    assert "epoch 2/2" in done.stdout
    model = geolocator.load(tmp_path / run_folder.MODEL)
    result = model.predict_on_batch(
        {"image": np.zeros((1, 1, 32, 48, 3), np.uint8), "view_mask": np.ones((1, 1), bool)}
    )
    assert result["log_probabilities"].dtype == np.float32


def test_a_recipe_takes_the_features_it_stands_on(cache_dir, tmp_path):
    data = train_options.DataOptions(data_dir="d", cache_dir=str(cache_dir), features="pooled")
    assert named_features.find(data) == (str(cache_dir),)
    (tmp_path / "pooled").symlink_to(cache_dir)
    one_for_all = dataclasses.replace(data, cache_dir=str(tmp_path))
    assert named_features.find(one_for_all) == (str(tmp_path / "pooled"),)
    twice = dataclasses.replace(one_for_all, features="pooled,pooled")
    assert named_features.find(twice) == (str(tmp_path / "pooled"),) * 2
    for features, cache, said in (
        ("textures", cache_dir, "holds features of --pooling=avg, but the recipe takes textures"),
        ("textures", tmp_path, "no feature cache there; the recipe takes textures"),
    ):
        command = rf"trainers\.extract --recipe=features/textures --data_dir=d --config=blocked --cache_dir={cache}"
        with pytest.raises(errors.CacheError, match=rf"{said}(.|\n)*{command}"):
            named_features.find(dataclasses.replace(data, cache_dir=str(cache), features=features))
    with pytest.raises(errors.OptionError, match=r"no such features(.|\n)*blocks, lite10, lite14, maps, peaks"):
        named_features.find(dataclasses.replace(data, features="walls"))


def test_the_flags_of_a_run_name_the_encoder_of_its_cache(run_dir, cache_dir):
    found = run_folder.options_of(run_dir)
    wanted = {"backbone": "report_cnn", "layer": "block1_conv1", "pooling": "avg"}
    assert {name: getattr(found.encoder, name) for name in wanted} == wanted
    assert (found.encoder.height_px, found.encoder.width_px) == (32, 48)
    assert found.data.cache_dir == (str(cache_dir),)


def test_another_partition_relabels_without_a_new_dataset_and_without_validation_all_epochs_count(
    train_flags, run_dir, tmp_path
):
    whole = partition.read(run_dir / run_folder.PARTITION)
    partition.write(partition.Partition(whole.shapes[:10]), tmp_path / "part.geojson")
    done = road.program(
        "trainers.train",
        *train_flags,
        "--epochs=2",
        "--validation_split=",
        "--head=linear",
        f"--partition={tmp_path / 'part.geojson'}",
        f"--run_dir={tmp_path / 'run'}",
    )
    assert "lie outside every cell; not trained on" in done.stdout
    assert len(partition.read(tmp_path / "run" / run_folder.PARTITION)) == 10
    assert "validated on" not in done.stdout
    assert "epoch 2/2" in done.stdout
    assert (tmp_path / "run" / run_folder.MODEL).exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--head=report_6m"], "needs a feature map"),
        (["--partition=nowhere.geojson"], "does not exist"),
        (["--cells=quadtree", "--most_per_cell=100000"], "the partition is a single cell"),
        (["--exact_pixels"], "holds features of photographs decoded at a part of their size"),
        (["--learning_rate=1e30", "--weight_decay=0", "--epochs=3", "--lr_schedule=constant"], "the loss became"),
    ],
)
def test_mistakes_end_in_one_short_error_and_leave_no_model(train_flags, tmp_path, flags, message):
    done = road.program("trainers.train", *train_flags, f"--run_dir={tmp_path}", *flags, expect=2)
    assert message in done.stderr
    assert "Next: " in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 12
    assert not (tmp_path / run_folder.MODEL).exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"seed": 0', '"seed": 1', "made with other weights"),
        ('"dataset": "geods/random/1.0.0 ', '"dataset": "geods/random/1.0.0 0', "was made of dataset geods/random"),
    ],
)
def test_a_cache_of_other_weights_or_images_is_refused(train_flags, cache_dir, tmp_path, old, new, message):
    copy = road.cache_of_others(cache_dir, tmp_path / "cache", old, new)
    flags = [flag for flag in train_flags if not flag.startswith("--cache_dir")]
    done = road.program(
        "trainers.train", *flags, f"--cache_dir={copy}", "--epochs=1", f"--run_dir={tmp_path / 'run'}", expect=2
    )
    assert message in done.stderr
    assert not (tmp_path / "run" / run_folder.MODEL).exists()

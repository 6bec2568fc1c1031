"""Networks of the flags: unfrozen blocks, fusions, augmentation, chunks."""

import io
import json
import pathlib
import re
import sys

import numpy as np
import pytest
import road

from geods import errors
from geods.cli import flags as cli_flags
from model import geolocator
from model.encoders import backbones, fine_tuning
from trainers import train
from trainers.evaluation import answers, keras_predictor
from trainers.options import train_options
from trainers.runs import run_folder

# The last two convolutions of a MobileNet, which has 86 layers where a MobileNetV2 has 154.
MAPS_FIELDS = road.MAPS_FIELDS | {"backbone": "mobilenet"}
BLOCKS = "conv_pw_12_relu"
# 19 locations instead of 119, where nothing needs to be learned.
FEW = {"train_split": "test"}


@pytest.fixture(scope="module")
def maps(maps_of):
    """A cache of the layer in front of the last blocks."""
    return maps_of(BLOCKS, "mobilenet")


@pytest.fixture
def settings(data_dir, maps, tmp_path):
    return cli_flags.build(
        train_options.TrainOptions,
        data_dir=str(data_dir),
        config="random",
        cache_dir=str(maps),
        run_dir=str(tmp_path / "run"),
        head="linear",
        epochs=2,
        learning_rate=0.01,
        **MAPS_FIELDS,
    )


@pytest.fixture
def pooled(settings, cache_dir):
    """Settings of a cache of pooled features."""
    return cli_flags.replace(settings, cache_dir=str(cache_dir), **road.ENCODER_FIELDS)


def losses(text):
    return [float(found) for found in re.findall(r"loss ([\d.]+)", text)]


def moved_weights(settings) -> tuple[float, float]:
    """Largest changes of a weight of the frozen front and of the blocks."""
    whole = geolocator.load(f"{settings.run.run_dir}/{run_folder.MODEL}")
    spec = backbones.BackboneSpec("mobilenet", "random", BLOCKS, height_px=32, width_px=48)
    pairs = (
        (whole.get_layer("backbone"), backbones.build(spec)),
        (whole.get_layer("classifier").get_layer("blocks"), fine_tuning.blocks_behind(spec, BLOCKS)),
    )
    return tuple(
        max(abs(now - then).max() for now, then in zip(one.get_weights(), other.get_weights(), strict=True))
        for one, other in pairs
    )


def test_unfrozen_blocks_learn_on_cached_maps_and_the_saved_network_sees_images_as_the_cache_showed_them(
    settings, data_dir, capsys
):
    from geods.dataset import dataset_reader
    from geods.input import pipeline
    from trainers.features import feature_cache

    train.main(cli_flags.replace(settings, unfreeze="last_block", unfreeze_rate=1.0, fusion="mean_log"))
    first, second = losses(capsys.readouterr().out)
    assert second < first
    front, blocks = moved_weights(settings)
    assert front == 0
    assert blocks > 1e-3
    model = keras_predictor.KerasPredictor(settings.run.run_dir)
    cache = feature_cache.FeatureCache(f"{settings.data.cache_dir[0]}/test")
    from_cache, _ = next(model.feature_pieces(cache, 16))
    shape = pipeline.PipelineOptions(32, 48, batch_size=16)
    from_images, _ = model.predict(pipeline.batches(dataset_reader.open_builder(data_dir, "random"), "test", shape))
    np.testing.assert_allclose(from_cache, from_images, atol=1e-4)
    # In another process, which has imported only what it needs.
    done = road.program("trainers.evaluate", f"--run_dir={settings.run.run_dir}")
    assert "19 locations" in done.stdout


def test_images_are_jittered_in_training_and_blocks_unfrozen_in_the_loop(settings, capsys):
    from_images = cli_flags.replace(settings, cache_dir="", unfreeze=BLOCKS, crop=0.2, brightness=0.2, epochs=1)
    from_images = cli_flags.replace(from_images, unfreeze_rate=1e-9)
    train.main(cli_flags.replace(from_images, **FEW))
    assert "epoch 1/1" in capsys.readouterr().out
    model = geolocator.load(f"{settings.run.run_dir}/{run_folder.MODEL}")
    assert "jitter" not in [layer.name for layer in model.layers]
    assert max(moved_weights(settings)) < 1e-6, "the rate of the blocks"


class Interrupting(io.StringIO):
    """Standard output on which a line is answered with Ctrl-C."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self._line = line

    def write(self, text: str) -> int:
        if text.startswith(self._line):
            raise KeyboardInterrupt
        return super().write(text)


@pytest.mark.parametrize("source", ["cache", "images"])
def test_chunks_are_trained_one_after_another_and_each_is_a_whole_model(pooled, capsys, monkeypatch, source):
    changes = {} if source == "cache" else {"cache_dir": "", "steps_per_epoch": 3}
    chunked = cli_flags.replace(pooled, schedule="chunked", chunk_examples=20, train_views="single", **changes, **FEW)
    train.main(chunked)
    text = capsys.readouterr().out
    chunks = -(-int(re.search(r"([\d,]+) training examples", text)[1].replace(",", "")) // 20)
    assert chunks > 2
    assert f"chunk {chunks}/{chunks}, epoch 2/2: loss" in text
    assert text.count("mean miles") == chunks
    folder = run_folder.check_run(pooled.run.run_dir)
    kept = sorted(path.stem for path in (folder / "checkpoints").iterdir())
    assert len(kept) == chunks
    assert re.fullmatch(r"chunk_000_loss_\d+\.\d{3}", kept[0])
    image = {"image": np.full((1, 2, 32, 48, 3), 99, np.uint8), "view_mask": np.ones((1, 2), bool)}
    models = [keras_predictor.KerasPredictor(folder, name) for name in ("chunk_000", f"{kept[-1]}.keras", "")]
    first, last, final = (model.predict([image])[0] for model in models)
    (folder / run_folder.CALIBRATION).write_text('{"temperature": 1, "level": 0.9, "mass": 0.9}')
    assert [bool(answers.calibration_of(model)) for model in models] == [False, False, True]
    np.testing.assert_array_equal(last, final)
    assert np.abs(first - final).max() > 1e-3
    with pytest.raises(errors.RunError, match=r"--checkpoint=chunk_: names \d of(.|\n)*there are chunk_000"):
        keras_predictor.KerasPredictor(folder, "chunk_")
    # Stopped inside the first chunk, after its first epoch, a training ends with the same weights.
    again = cli_flags.replace(chunked, run_dir=f"{folder}_stopped")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Interrupting(f"chunk 1/{chunks}, epoch 2/2"))
        with pytest.raises(KeyboardInterrupt):
            train.main(again)
    assert run_folder.snapshot(pathlib.Path(again.run.run_dir)).is_file()
    train.main(again)
    assert "resumes after epoch 1 of" in capsys.readouterr().out
    np.testing.assert_allclose(keras_predictor.KerasPredictor(again.run.run_dir).predict([image])[0], final, atol=1e-4)


def test_a_cache_behind_the_blocks_is_refused_with_the_command(settings, cache_dir):
    with pytest.raises(errors.BackboneError, match=r"--pooling=none"):
        train.main(
            cli_flags.replace(settings, cache_dir=str(cache_dir), backbone="report_cnn", unfreeze="block1_conv1")
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_backbone": True, "cache_dir": "", "unfreeze": "last_block"}, "--train_backbone with --unfreeze"),
        ({"crop": 0.1}, "--crop with --cache_dir"),
        ({"view_mixup": 0.1, "train_views": "single"}, "--view_mixup with --train_views=single"),
        ({"fusion": "lstm", "train_views": "single"}, "--fusion with --train_views=single"),
        ({"head": "neighbours", "members": 2}, "--head=neighbours trains nothing"),
        ({"unfreeze_rate": 0.0}, "--unfreeze_rate=0.0: must be above 0"),
        ({"chunk_examples": 0}, "--chunk_examples=0"),
        ({"cache_dir": "", "data_service": "localhost:1", "schedule": "chunked"}, "--schedule=chunked with --data_s"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(settings, changed, message):
    with pytest.raises(errors.OptionError, match=message):
        cli_flags.replace(settings, **changed)


def test_the_reports_cnn_trains_end_to_end_under_an_lstm(data_dir, tmp_path):
    done = road.program(
        "trainers.train",
        "--flagfile=trainers/recipes/lstm_cnn.cfg",
        f"--data_dir={data_dir}",
        "--config=random",
        # Half of the road's size, and its smallest part: a view takes 81 GFLOP at 300x600, 0.17 at 16x24.
        *("--height_px=16", "--width_px=24", "--train_split=test"),
        "--epochs=1",
        f"--run_dir={tmp_path}",
    )
    assert "epoch 1/1" in done.stdout


@pytest.mark.parametrize("recipe", ["im2gps", "planet"])
def test_recipes_on_pooled_features_beat_the_constant_guess(data_dir, cache_dir, tmp_path, recipe):
    flags = (f"--flagfile=trainers/recipes/{recipe}.cfg", f"--data_dir={data_dir}", "--config=random")
    flags += (f"--cache_dir={cache_dir}", "--epochs=10", "--neighbours=5", "--cell_deg=1")
    road.program("trainers.train", *flags, f"--run_dir={tmp_path}")
    road.program("trainers.evaluate", f"--run_dir={tmp_path}")
    metrics = json.loads((tmp_path / run_folder.METRICS).read_text())
    assert metrics["mean_miles"] < metrics["constant_guess"]["mean_miles"]

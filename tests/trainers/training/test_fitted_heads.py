"""A head that is fitted and not trained, through the real programs."""

import json

import numpy as np
import pytest
import road

from geods import errors
from geods.cli import flags as cli_flags
from trainers import extract, train
from trainers.evaluation import evaluation, keras_predictor
from trainers.features import feature_cache
from trainers.options import evaluate_options, extract_options, train_options
from trainers.runs import run_folder

MAPS_FIELDS = road.MAPS_FIELDS | {"backbone": "mobilenet"}


@pytest.fixture(scope="module")
def maps(maps_of):
    """A cache of an early layer, with few channels and some colour left."""
    return maps_of("conv1_relu", "mobilenet")


@pytest.fixture
def flags(data_dir, maps):
    return (
        *("--recipe=best", f"--data_dir={data_dir}", "--config=random"),
        f"--cache_dir={maps}",
    )


@pytest.fixture
def settings(data_dir, maps, tmp_path):
    return cli_flags.build(
        train_options.TrainOptions,
        data_dir=str(data_dir),
        config="random",
        cache_dir=str(maps),
        run_dir=str(tmp_path / "run"),
        head="kernel",
        cell_deg=1.0,
        validation_split="",
        epochs=1,
        temperature=0.1,
        **MAPS_FIELDS,
    )


def test_the_recipe_beats_the_constant_guess(flags, tmp_path):
    said = road.program("trainers.train", *flags, f"--run_dir={tmp_path}").stdout
    assert "kernel width" in said
    assert "left out in turn" in said
    road.program("trainers.evaluate", f"--run_dir={tmp_path}")
    metrics = json.loads((tmp_path / run_folder.METRICS).read_text())
    assert metrics["mean_miles"] < 0.8 * metrics["constant_guess"]["mean_miles"]
    # TensorBoard has its flags, end and figures, and its features.
    parts = {path.suffix for path in tmp_path.glob(run_folder.EVENTS)}
    assert parts == {".options", ".end", ".evaluation"}
    assert (tmp_path / run_folder.PROJECTOR_CONFIG).is_file()


def test_the_saved_network_sees_images_as_the_cache_showed_them(settings, data_dir):
    from geods.dataset import dataset_reader
    from geods.input import pipeline

    train.main(settings)
    model = keras_predictor.KerasPredictor(settings.run.run_dir)
    from_cache, points = next(
        model.feature_pieces(feature_cache.FeatureCache(f"{settings.data.cache_dir[0]}/test"), 16)
    )
    shape = pipeline.PipelineOptions(32, 48, batch_size=16)
    from_images, others = model.predict(
        pipeline.batches(dataset_reader.open_builder(data_dir, "random"), "test", shape)
    )
    # Float32 keeps 7 digits of distances whose weights add up to thousands of kilometres.
    np.testing.assert_allclose(from_cache, from_images, rtol=0.02, atol=0.05)
    assert np.mean(np.all(points == others, axis=1)) > 0.8


def test_cells_with_like_features_are_named_by_their_distances(settings, capsys):
    train.main(cli_flags.replace(settings, head="centroids", sharpness=1.0, cell_deg=0.0, train_views="single"))
    assert "15 of 15 cells have training images" in capsys.readouterr().out
    out = run_folder.check_run(settings.run.run_dir)
    asked = cli_flags.build(evaluate_options.EvaluateOptions, run_dir=str(out), views="single")
    metrics = evaluation.evaluate(asked, out)
    assert metrics["mean_miles"] < 0.8 * metrics["constant_guess"]["mean_miles"]


def test_on_moments_of_two_sizes_it_sees_images_as_their_cache_showed_them(settings, data_dir, tmp_path):
    from geods.dataset import dataset_reader
    from geods.input import pipeline

    fields = {**MAPS_FIELDS, "layer": "conv1_relu", "pooling": "moments", "more_heights_px": (24,)}
    cache, where = tmp_path / "moments", {"data_dir": str(data_dir), "config": "random", "runtime": "tensorflow"}
    extract.main(
        cli_flags.build(extract_options.ExtractOptions, **where, **fields, cache_dir=str(cache), cache_dtype="float32")
    )
    train.main(cli_flags.replace(settings, cache_dir=str(cache), nearness_km=1000.0))
    found = feature_cache.FeatureCache(cache / "test")
    assert found.feature_shape == (2 * 2 * 32 * 33 // 2,)
    model = keras_predictor.KerasPredictor(settings.run.run_dir)
    shape = pipeline.PipelineOptions(32, 48, batch_size=16)
    from_images, _ = model.predict(pipeline.batches(dataset_reader.open_builder(data_dir, "random"), "test", shape))
    np.testing.assert_allclose(next(model.feature_pieces(found, 16))[0], from_images, rtol=0.02, atol=0.05)


def test_features_that_are_neither_maps_nor_moments_are_refused(settings, cache_dir):
    with pytest.raises(errors.OptionError, match=r"no second moments of 2 maps(.|\n)*--pooling=moments"):
        train.main(cli_flags.replace(settings, cache_dir=str(cache_dir)))


def test_a_cache_of_another_set_of_sizes_is_refused(data_dir, cache_dir):
    fields = {**road.ENCODER_FIELDS, "splits": ("test",), "cache_dir": str(cache_dir), "runtime": "tensorflow"}
    asked = cli_flags.build(extract_options.ExtractOptions, data_dir=str(data_dir), config="random", **fields)
    with pytest.raises(errors.CacheError, match="more_heights_px is '', wanted '24'"):
        extract.main(cli_flags.replace(asked, more_heights_px=(24,)))


def test_of_more_places_than_it_may_remember_all_are_fitted(settings, capsys):
    train.main(cli_flags.replace(settings, most_places=40))
    assert "all 119 locations are fitted, 40 kernels are remembered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"unfreeze": "last_block"}, "--head=kernel trains nothing"),
        ({"most_places": 1}, "--most_places=1: must be at least 2"),
        ({"nearness_km": -1.0}, "--nearness_km=-1.0: must be at least 0"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(settings, changed, message):
    with pytest.raises(errors.OptionError, match=message):
        cli_flags.replace(settings, **changed)

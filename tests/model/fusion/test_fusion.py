"""Fusions of the views of a location: rules for all, and each by itself."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geods import errors
from model import geolocator
from model.fusion import attention, fusion, lstm, views
from model.heads import classifiers

CELLS, CHANNELS = 6, 5


def classifier(name, shape=(CHANNELS,), head="linear", seed=0):
    keras.utils.set_random_seed(seed)
    return geolocator.build_classifier(classifiers.build(head, fusion.head_shape(name, shape), CELLS), shape, name)


CLASSIFIERS = {name: classifier(name) for name in fusion.NAMES}


def answer(network, features, mask):
    inputs = {"features": np.asarray(features, "float32"), "view_mask": np.asarray(mask, bool)}
    return keras.ops.convert_to_numpy(network(inputs, training=False))


@pytest.mark.parametrize("name", fusion.NAMES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), places=st.integers(1, 3), most=st.integers(1, 4))
def test_masked_views_do_not_count_and_probabilities_sum_to_1(name, seed, places, most):
    rng = np.random.default_rng(seed)
    features, mask = rng.standard_normal((places, most, CHANNELS)), rng.random((places, most)) < 0.6
    told = answer(CLASSIFIERS[name], features, mask)
    np.testing.assert_allclose(np.exp(told).sum(axis=-1), 1, rtol=1e-4)
    changed = np.where(mask[:, :, None], features, rng.standard_normal(features.shape) * 1e4)
    np.testing.assert_allclose(answer(CLASSIFIERS[name], changed, mask), told, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", fusion.NAMES)
def test_padding_with_more_masked_views_changes_nothing(name):
    features = np.random.default_rng(1).standard_normal((2, 3, CHANNELS))
    mask = np.array([[True, True, True], [True, True, False]])
    padded = np.concatenate([features, np.ones((2, 4, CHANNELS))], axis=1)
    more = np.concatenate([mask, np.zeros((2, 4), bool)], axis=1)
    short, long = answer(CLASSIFIERS[name], features, mask), answer(CLASSIFIERS[name], padded, more)
    np.testing.assert_allclose(long, short, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", fusion.NAMES)
def test_a_location_without_views_knows_nothing(name):
    told = answer(CLASSIFIERS[name], np.ones((1, 2, CHANNELS)), [[False, False]])
    np.testing.assert_allclose(told, np.full((1, CELLS), -np.log(CELLS)), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "counts"), [("mean", False), ("mean_log", False), ("attention", False), ("lstm", True)]
)
def test_only_the_lstm_reads_views_in_their_order(name, counts):
    features = np.random.default_rng(2).standard_normal((1, 3, CHANNELS))
    there, back = (answer(CLASSIFIERS[name], each, [[True] * 3]) for each in (features, features[:, ::-1]))
    assert np.allclose(there, back, atol=1e-5) != counts


@pytest.mark.parametrize("name", fusion.NAMES)
def test_maps_are_fused_as_vectors_are(name):
    network = classifier(name, (3, 4, CHANNELS))
    told = answer(network, np.random.default_rng(0).standard_normal((2, 3, 3, 4, CHANNELS)), [[True] * 3] * 2)
    assert told.shape == (2, CELLS)


@pytest.mark.parametrize("name", fusion.NAMES)
def test_a_saved_classifier_answers_as_before(name, tmp_path):
    geolocator.save(CLASSIFIERS[name], tmp_path / "c.keras")
    features = np.random.default_rng(3).standard_normal((2, 3, CHANNELS))
    mask = [[True, True, False], [True, True, True]]
    again = answer(geolocator.load(tmp_path / "c.keras"), features, mask)
    np.testing.assert_array_equal(again, answer(CLASSIFIERS[name], features, mask))


@pytest.mark.parametrize("name", fusion.NAMES)
def test_it_learns_which_feature_tells(name):
    rng = np.random.default_rng(4)
    truth = rng.integers(0, CELLS, 256)
    features = rng.normal(0, 0.3, (256, 2, CELLS)).astype("float32")
    features[np.arange(256), :, truth] += 2
    network = classifier(name, (CELLS,))
    network.compile(
        keras.optimizers.Adam(0.02), loss=lambda cells, told: -keras.ops.take_along_axis(told, cells, axis=1)
    )
    inputs = {"features": features, "view_mask": np.ones((256, 2), bool)}
    network.fit(inputs, truth[:, None], epochs=12, batch_size=32, verbose=0)
    assert (network.predict(inputs, verbose=0).argmax(axis=1) == truth).mean() > 0.9


def test_the_mean_of_logs_lets_one_view_rule_a_cell_out():
    logits = np.array([[[5.0, 0.0, -30.0], [0.0, 0.0, 30.0]]], "float32")
    mask = np.ones((1, 2), bool)
    assert views.MeanOfProbabilities()(logits, mask).numpy().argmax() == 2
    expected = keras.ops.log_softmax(keras.ops.log_softmax(logits).numpy().mean(axis=1)).numpy()
    np.testing.assert_allclose(views.MeanOfLogProbabilities()(logits, mask).numpy(), expected, rtol=1e-5)


def test_attention_begins_as_the_mean_of_logs_and_its_weights_sum_to_1():
    layer, rng = attention.AttentionOverViews(), np.random.default_rng(5)
    logits, features = (rng.standard_normal((2, 3, n)).astype("float32") for n in (CELLS, CHANNELS))
    mask = np.array([[True, False, True], [True, True, True]])
    told = layer(logits, features, mask).numpy()
    np.testing.assert_allclose(told, views.MeanOfLogProbabilities()(logits, mask).numpy(), rtol=1e-5)
    layer.score.kernel.assign(rng.standard_normal(layer.score.kernel.shape))
    weights = layer.weights_of_views(features, mask).numpy()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert weights[0, 1] == 0
    assert weights[1].max() > 1 / 3


@pytest.mark.parametrize("layer", [attention.AttentionOverViews, lstm.LstmOverViews])
def test_layers_without_units_are_refused(layer):
    with pytest.raises(errors.OptionError, match="0 units"):
        layer(0)


def test_an_unknown_fusion_names_those_there_are():
    with pytest.raises(errors.OptionError, match=r"'meen' is not a way to fuse views\.[^.]*\n?.*mean"):
        fusion.head_shape("meen", (CHANNELS,))


def test_a_head_for_other_features_is_refused():
    head = classifiers.build("linear", (CHANNELS,), CELLS)
    with pytest.raises(errors.OptionError, match=r"--fusion=lstm a head takes features of shape \(64,\)"):
        geolocator.build_classifier(head, (CHANNELS,), "lstm")

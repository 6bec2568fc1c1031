"""Decoding against brute force in numpy."""

import keras
import numpy as np
import precision
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geods import errors
from geods.geo import geometry
from model import decode

CENTROIDS = np.array([[lat, lon] for lat in (30.0, 35.0, 40.0) for lon in (-110.0, -100.0, -90.0)])
LATTICE = np.array([[lat, lon] for lat in np.arange(29, 42, 1.5) for lon in np.arange(-112, -88, 2.5)])
DIAGONAL_KM = 2500.0


def probabilities(rows: int, seed: int, sharpness: float = 2.0) -> np.ndarray:
    weights = np.exp(sharpness * np.random.default_rng(seed).standard_normal((rows, len(CENTROIDS))))
    return weights / weights.sum(axis=1, keepdims=True)


def decoded(method: str, chances: np.ndarray, candidates=()) -> np.ndarray:
    decoder = decode.Decoder(method, CENTROIDS, DIAGONAL_KM, candidates)
    return keras.ops.convert_to_numpy(decoder(np.log(chances).astype("float32")))


def expected_km(chances: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.array([geometry.haversine_km(CENTROIDS, p) @ q for q, p in zip(chances, points, strict=True)])


def test_argmax_is_the_centroid_of_the_most_probable_cell():
    chances = probabilities(20, seed=0)
    np.testing.assert_array_equal(decoded("argmax", chances, LATTICE), CENTROIDS[chances.argmax(axis=1)])


@pytest.mark.parametrize("candidates", [(), LATTICE], ids=["centroids", "lattice"])
@pytest.mark.parametrize("method", ["least_distance", "highest_score"])
def test_expectations_are_those_of_brute_force(method, candidates):
    chances = probabilities(40, seed=1)
    points = np.concatenate([CENTROIDS, np.reshape(candidates, (-1, 2))])
    best = []
    for row in chances:
        distances = [geometry.haversine_km(CENTROIDS, point) for point in points]
        if method == "least_distance":
            best.append(int(np.argmin([row @ d for d in distances])))
        else:
            best.append(int(np.argmax([row @ geometry.geoguessr_score(d, DIAGONAL_KM) for d in distances])))
    np.testing.assert_array_equal(decoded(method, chances, candidates), points[best].astype("float32"))


# The first example traces the operations, which takes longer than hypothesis' deadline on a busy machine.
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), sharpness=st.floats(0.1, 8))
def test_least_distance_never_expects_to_be_further_off_than_argmax(seed, sharpness):
    chances = probabilities(8, seed, sharpness)
    most_probable = expected_km(chances, CENTROIDS[chances.argmax(axis=1)])
    for candidates in ((), LATTICE):
        # Half a metre is left to float32.
        assert (expected_km(chances, decoded("least_distance", chances, candidates)) <= most_probable + 5e-4).all()


def test_two_far_regions_pull_the_least_distance_between_them_but_not_the_highest_score():
    chances = np.full((1, len(CENTROIDS)), 1e-9)
    # 30 N 110 W, 30 N 90 W and, less probable, 40 N 100 W.
    chances[0, [0, 2, 7]] = 0.36, 0.35, 0.29
    assert tuple(decoded("highest_score", chances)[0]) == (30.0, -110.0)
    assert tuple(decoded("least_distance", chances)[0]) == (35.0, -100.0)


def test_certainty_is_followed_by_every_method():
    chances = np.full((1, len(CENTROIDS)), 1e-12)
    chances[0, 4] = 1
    for method in decode.METHODS:
        np.testing.assert_array_equal(decoded(method, chances, LATTICE)[0], CENTROIDS[4])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("method", decode.METHODS)
def test_points_stay_float32_under_mixed_precision(method, policy):
    with precision.policy(policy):
        coords = decoded(method, probabilities(5, seed=2), LATTICE)
    assert coords.dtype == np.float32
    np.testing.assert_array_equal(coords, decoded(method, probabilities(5, seed=2), LATTICE))


@pytest.mark.parametrize("method", decode.METHODS)
def test_a_decoder_comes_back_from_a_file(method, tmp_path):
    inputs = keras.Input((len(CENTROIDS),))
    model = keras.Model(inputs, decode.Decoder(method, CENTROIDS, DIAGONAL_KM, LATTICE)(inputs))
    assert model.output_shape == (None, 2)
    model.save(tmp_path / "decoder.keras")
    again = keras.saving.load_model(tmp_path / "decoder.keras", safe_mode=True)
    chances = np.log(probabilities(9, seed=3)).astype("float32")
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(again(chances)), keras.ops.convert_to_numpy(model(chances))
    )


def test_an_unknown_method_is_refused():
    with pytest.raises(errors.OptionError, match="'median' is not a decoder"):
        decode.Decoder("median", CENTROIDS)


@pytest.mark.parametrize("diagonal_km", [0.0, -1.0, float("inf"), float("nan")])
def test_the_score_needs_a_diagonal(diagonal_km):
    with pytest.raises(errors.OptionError, match="highest_score with a diagonal of"):
        decode.Decoder("highest_score", CENTROIDS, diagonal_km)


def test_swapped_candidates_are_refused():
    with pytest.raises(errors.CoordinateError, match="candidates"):
        decode.Decoder("least_distance", CENTROIDS, candidates=LATTICE[:, ::-1])


def test_a_temperature_sharpens_or_flattens_what_is_expected():
    chances = probabilities(30, seed=5)
    for temperature in (0.25, 4.0):
        decoder = decode.Decoder("least_distance", CENTROIDS, candidates=LATTICE, temperature=temperature)
        tempered = chances ** (1 / temperature)
        tempered /= tempered.sum(axis=1, keepdims=True)
        told = keras.ops.convert_to_numpy(decoder(np.log(chances).astype("float32")))
        np.testing.assert_array_equal(told, decoded("least_distance", tempered, LATTICE))
        assert decode.Decoder.from_config(decoder.get_config()).temperature == temperature


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_is_positive(temperature):
    with pytest.raises(errors.OptionError, match="1 changes nothing"):
        decode.Decoder("least_distance", CENTROIDS, temperature=temperature)

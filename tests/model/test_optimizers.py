"""AdamW that goes slower with some weights."""

import keras
import numpy as np
import pytest

from geods import errors
from model import optimizers


def weights():
    return [keras.Variable(np.ones(3, "float32"), name=name) for name in ("blocks", "head")]


def step(optimizer, variables, gradient=1.0):
    before = [variable.numpy().copy() for variable in variables]
    optimizer.apply([np.full(3, gradient, "float32")] * len(variables), variables)
    return [old - variable.numpy() for old, variable in zip(before, variables, strict=True)]


def test_slow_weights_take_smaller_steps_and_do_not_decay():
    both = weights()
    slow, fast = step(optimizers.PacedAdamW(0.01, 0.0, [both[0].path], 0.1), both)
    np.testing.assert_allclose(slow, fast * 0.1, rtol=1e-3)
    both = weights()
    slow, fast = step(optimizers.PacedAdamW(0.01, 0.5, [both[0].path], 0.1), both, gradient=0.0)
    np.testing.assert_array_equal(slow, 0)
    assert (fast > 0).all()


def test_without_slow_weights_it_is_adamw():
    mine, usual = weights(), weights()
    paced, plain = optimizers.PacedAdamW(0.01, 0.1), keras.optimizers.AdamW(0.01, weight_decay=0.1)
    for _ in range(3):
        np.testing.assert_array_equal(step(paced, mine), step(plain, usual))


def test_it_follows_a_schedule():
    both = weights()
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.01, 0.0])
    optimizer = optimizers.PacedAdamW(rate, 0.0, [both[0].path], 0.1)
    steps = [step(optimizer, both) for _ in range(3)]
    assert abs(steps[0][0]).max() > 0
    np.testing.assert_array_equal(steps[2], 0)


def test_its_configuration_makes_another():
    one = optimizers.PacedAdamW(0.01, 0.1, ["a/b"], 0.3)
    other = optimizers.PacedAdamW.from_config(one.get_config())
    assert (other.slow, other.factor) == (["a/b"], 0.3)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf")])
def test_a_factor_must_be_above_0(factor):
    with pytest.raises(errors.OptionError, match="positive factor"):
        optimizers.PacedAdamW(factor=factor)

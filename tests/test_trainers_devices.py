"""Training on two devices is training on one: the same losses, and a run that the other backend loads."""

import importlib.util
import re

import numpy as np
import pytest
import road

from geods import errors
from trainers import devices, options

# Every device would drop other values.
FLAGS = ("--epochs=3", "--dropout=0", "--validation_split=")
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")


def losses(done) -> list[float]:
    return [float(loss) for loss in re.findall(r"loss ([\d.]+)", done.stdout)]


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=needs_jax)])
def test_two_devices_give_the_losses_of_one(train_flags, tmp_path, monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    one, two = (
        losses(
            road.program(
                "trainers.train", *train_flags, *FLAGS, f"--devices={count}", f"--run_dir={tmp_path / str(count)}"
            )
        )
        for count in (1, 2)
    )
    assert len(one) == 3
    assert np.allclose(one, two, rtol=1e-3, atol=2e-4)


def test_what_cannot_be_shared_out_is_refused():
    with pytest.raises(errors.OptionError, match=r"--batch_size=33 with --devices=2.*\nNext: .*--batch_size=32"):
        options.TrainOptions(devices=2, batch_size=33)
    # TensorFlow works already in this process and cannot be divided any more.
    import tensorflow as tf

    tf.zeros(())
    with pytest.raises(errors.OptionError, match="--devices=64: there are 1 here"), devices.spread(64):
        pass

"""The small tree, dataset, cache and run of many tests, and its programs."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np
import starts
from PIL import Image

from geods.imagery.mapillary import mapillary_options
from geods.imagery.street_view import street_view_options
from trainers.features import cache_format

REPO = starts.REPO
LOCATIONS = 150
SIZE = ("--height_px=32", "--width_px=48")
# Its first layer sees colours; it is built in 0.1 s of processor time, where a MobileNetV2 takes 0.6 s of each program.
ENCODER_FIELDS = {"backbone": "report_cnn", "backbone_weights": "random", "layer": "block1_conv1", "pooling": "avg"}
ENCODER_FIELDS |= {"height_px": 32, "width_px": 48}
ENCODER = tuple(f"--{name}={value}" for name, value in ENCODER_FIELDS.items())
# For maps of its deep layers, and for blocks to unfreeze.
MAPS_FIELDS = {"backbone": "mobilenet_v2", "backbone_weights": "random", "height_px": 32, "width_px": 48}

# Their tests run them where TensorFlow and Keras cannot be imported. tools.render needs them for --figure=layers alone.
WITHOUT_TENSORFLOW = (
    *("tools.check_tree", "tools.convert_tree", "tools.cost", "tools.import_images", "tools.join_trees"),
    *("tools.make_partition", "tools.play", "tools.render", "tools.verify", "trainers.calibrate"),
)


def given_once(words: Sequence[object]) -> list[object]:
    """Returns words with the last of each flag.

    Tests give the flags they share first, and then those they change.
    """
    last = {str(word).partition("=")[0]: number for number, word in enumerate(words)}
    flags = [str(word).startswith("--") and "=" in str(word) for word in words]
    return [
        word
        for number, (word, is_flag) in enumerate(zip(words, flags, strict=True))
        if not is_flag or last[str(word).partition("=")[0]] == number or str(word).startswith("--where=")
    ]


def started(*words: object) -> contextlib.AbstractContextManager[starts.Started]:
    """Starts `python -m ...`, to be watched, interrupted or killed."""
    return starts.started(starts.HEAVY, given_once(words), dict(os.environ))


def program(*words: object, expect: int = 0) -> subprocess.CompletedProcess:
    """Runs `python -m ...` as a user would, and checks its exit code."""
    is_light = words[0] in WITHOUT_TENSORFLOW
    libraries, absent = (starts.LIGHT, starts.TENSORFLOW) if is_light else (starts.HEAVY, ())
    done = starts.ended(libraries, given_once(words), dict(os.environ), absent)
    assert done.returncode == expect, f"{words}\n{done.stdout}\n{done.stderr}"
    return done


def without_tensorflow(words: list[str], output: pathlib.Path) -> tuple[int, str]:
    """Runs a program without TensorFlow and keys; returns its status and output."""
    with starts.started(starts.LIGHT, words, without_keys(), absent=starts.TENSORFLOW) as running:
        status = running.wait()
        output.write_text(running.stdout + running.stderr)
    return status, output.read_text()


def without_keys() -> dict[str, str]:
    """Returns the environment without the keys that conftest.py puts into it."""
    keys = (street_view_options.KEY_ENV, mapillary_options.TOKEN_ENV)
    return {name: value for name, value in os.environ.items() if name not in keys}


def cache_of_others(cache_dir: pathlib.Path, target: pathlib.Path, old: str, new: str) -> pathlib.Path:
    """Copies a cache with changed indexes, whose own hashes fit."""
    shutil.copytree(cache_dir, target)
    for path in target.glob(f"*/{cache_format.INDEX}"):
        text = path.read_text()
        assert old in text
        index = json.loads(text.replace(old, new))
        del index["index_sha256"]
        cache_format.write_index(path.parent, index)
    return target


def draw(lat_deg: float, lon_deg: float, heading_deg: float) -> Image.Image:
    """Draws a location by its coordinates: redder eastward, bluer northward, noise."""
    rng = np.random.default_rng([int((lat_deg + 90) * 1e6), int((lon_deg + 180) * 1e6), int(heading_deg)])
    colour = np.array([(lon_deg + 120) / 50, 0.5, (lat_deg - 30) / 18])
    pixels = 255 * colour + rng.normal(0, 12, (40, 60, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

"""One small road for all tests that need it: what it is made of, and how its programs are run."""

import atexit
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import canary
import numpy as np
from PIL import Image

from geods.imagery import mapillary_options, street_view_options
from trainers import cache_files

REPO = pathlib.Path(__file__).parent.parent
LOCATIONS = 150
# What every program of ours that trains or reads datasets imports, and what the others do.
_HEAVY = ("tensorflow", "keras", "tensorflow_datasets", "matplotlib.pyplot", "shapely", "PIL.Image")
_LIGHT = ("absl.app", "numpy", "shapely", "fiona", "PIL.Image", "requests", "tqdm")
SIZE = ("--height_px=32", "--width_px=48")
ENCODER_FIELDS = {"backbone": "mobilenet_v2", "backbone_weights": "random", "height_px": 32, "width_px": 48}
ENCODER = (
    "--backbone=mobilenet_v2",
    "--backbone_weights=random",
    "--layer=block_3_expand_relu",
    "--pooling=avg",
    *SIZE,
)


def program(*arguments: object, expect: int = 0) -> subprocess.CompletedProcess:
    """Runs `python -m ...` as a user would, but for the start (see warm_start.py), and checks its exit code."""
    words = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder:
        said = {name: f"{folder}/{name}" for name in ("stdout", "stderr")}
        status = _warm_status(_HEAVY, words, dict(os.environ), said)
        stdout, stderr = (pathlib.Path(path).read_text(encoding="utf-8") for path in said.values())
    canary.assert_clean(stdout + stderr)
    assert status == expect, f"{words}\n{stdout}\n{stderr}"
    return subprocess.CompletedProcess(words, status, stdout, stderr)


def without_tensorflow(words: list[str], output: pathlib.Path) -> tuple[int, str]:
    """Runs a program that is to end before it imports TensorFlow, without keys; returns its status and all it said."""
    said = {"stdout": str(output), "stderr": str(output)}
    status = _warm_status(_LIGHT, words, without_keys(), said, absent=("tensorflow", "keras"))
    return status, output.read_text()


def without_keys() -> dict[str, str]:
    """Returns the environment without the keys that conftest.py puts into it."""
    keys = (street_view_options.KEY_ENV, mapillary_options.TOKEN_ENV)
    return {name: value for name, value in os.environ.items() if name not in keys}


def _warm_status(
    libraries: tuple[str, ...], words: list[str], environment: dict[str, str], said: dict[str, str], absent: tuple = ()
) -> int:
    """Has the warm process run a program."""
    order = {"arguments": words, "environment": environment, "folder": str(REPO), "absent": absent, **said}
    starter = _starter(*libraries)
    print(json.dumps(order), file=starter.stdin, flush=True)
    return int(starter.stdout.readline())


@functools.cache
def _starter(*libraries: str) -> subprocess.Popen:
    """The warm process of this test process that has imported these."""
    command = [sys.executable, str(pathlib.Path(__file__).with_name("warm_start.py")), *libraries]
    # As cli.run sets it, which in a fork comes after TensorFlow has looked.
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    starter = subprocess.Popen(command, cwd=REPO, env=environment, **pipes, text=True)
    atexit.register(starter.communicate)
    return starter


def cache_of_others(cache_dir: pathlib.Path, target: pathlib.Path, old: str, new: str) -> pathlib.Path:
    """Copies a cache and has its indexes say something else, as a cache of that would hold it: with their own hash."""
    shutil.copytree(cache_dir, target)
    for path in target.glob(f"*/{cache_files.INDEX}"):
        text = path.read_text()
        assert old in text
        index = json.loads(text.replace(old, new))
        del index["index_sha256"]
        cache_files.write_index(path.parent, index)
    return target


def draw(lat_deg: float, lon_deg: float, heading_deg: float) -> Image.Image:
    """Draws a place whose colours tell where it is: redder to the east, bluer to the north, and some noise."""
    rng = np.random.default_rng([int((lat_deg + 90) * 1e6), int((lon_deg + 180) * 1e6), int(heading_deg)])
    colour = np.array([(lon_deg + 120) / 50, 0.5, (lat_deg - 30) / 18])
    pixels = 255 * colour + rng.normal(0, 12, (40, 60, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

"""One small road for all tests that need it: what it is made of, and how its programs are run."""

import atexit
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import canary
import numpy as np
from PIL import Image

REPO = pathlib.Path(__file__).parent.parent
LOCATIONS = 150
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
        order = {"arguments": words, "environment": dict(os.environ), "folder": str(REPO), **said}
        status = _warm_status(json.dumps(order))
        stdout, stderr = (pathlib.Path(path).read_text(encoding="utf-8") for path in said.values())
    canary.assert_clean(stdout + stderr)
    assert status == expect, f"{words}\n{stdout}\n{stderr}"
    return subprocess.CompletedProcess(words, status, stdout, stderr)


def _warm_status(order: str) -> int:
    """Has the warm process run a program."""
    starter = _starter()
    print(order, file=starter.stdin, flush=True)
    return int(starter.stdout.readline())


@functools.cache
def _starter() -> subprocess.Popen:
    """The warm process of this test process."""
    command = [sys.executable, str(pathlib.Path(__file__).with_name("warm_start.py"))]
    starter = subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(starter.stdin.close)
    return starter


def draw(lat_deg: float, lon_deg: float, heading_deg: float) -> Image.Image:
    """Draws a place whose colours tell where it is: redder to the east, bluer to the north, and some noise."""
    rng = np.random.default_rng([int((lat_deg + 90) * 1e6), int((lon_deg + 180) * 1e6), int(heading_deg)])
    colour = np.array([(lon_deg + 120) / 50, 0.5, (lat_deg - 30) / 18])
    pixels = 255 * colour + rng.normal(0, 12, (40, 60, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

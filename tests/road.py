"""One small road for all tests that need it: what it is made of, and how its programs are run."""

import pathlib
import subprocess
import sys

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
    """Runs `python -m ...` as a user would and checks its exit code."""
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    canary.assert_clean(done.stdout + done.stderr)
    assert done.returncode == expect, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def draw(lat_deg: float, lon_deg: float, heading_deg: float) -> Image.Image:
    """Draws a place whose colours tell where it is: redder to the east, bluer to the north, and some noise."""
    rng = np.random.default_rng([int((lat_deg + 90) * 1e6), int((lon_deg + 180) * 1e6), int(heading_deg)])
    colour = np.array([(lon_deg + 120) / 50, 0.5, (lat_deg - 30) / 18])
    pixels = 255 * colour + rng.normal(0, 12, (40, 60, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

"""Search path of the soaks and of the processes that they start."""

import os
import pathlib
import sys

sys.path.insert(1, str(pathlib.Path(__file__).parents[1] / "support"))
import checkout

sys.path[1:2] = checkout.SUPPORT
os.environ.update(checkout.environment())

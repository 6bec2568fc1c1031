"""Search path of the soaks and of the processes that they start."""

import os
import pathlib
import sys

_SUPPORT = pathlib.Path(__file__).parents[1] / "support"
_FOLDERS = [str(folder) for folder in (_SUPPORT, *sorted(_SUPPORT.iterdir())) if folder.is_dir()]
sys.path[1:1] = _FOLDERS
os.environ["PYTHONPATH"] = os.pathsep.join([*_FOLDERS, *filter(None, [os.environ.get("PYTHONPATH")])])

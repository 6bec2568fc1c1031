"""Programs started in processes that have the usual libraries already, which saves most of a second each.

Kept apart, because such a process imports the module of the function that it runs.
"""

import multiprocessing
import os
import pathlib
import runpy
import sys

REPO = pathlib.Path(__file__).parent.parent
_LIBRARIES = ("absl.app", "numpy", "shapely", "fiona", "PIL.Image", "requests", "tqdm", "csv", "sqlite3")
_KEYS = ("GOOGLE_MAPS_API_KEY", "MAPILLARY_ACCESS_TOKEN")


def run(words: list[str], output: pathlib.Path) -> tuple[int, str]:
    """Runs a program without TensorFlow and without keys; returns its exit status and all that it printed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LIBRARIES))
    process = context.Process(target=_as_module, args=(words, output))
    process.start()
    process.join()
    return process.exitcode, output.read_text()


def _as_module(words: list[str], output: pathlib.Path) -> None:
    """Does what `python -m` does."""
    writer = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.chdir(REPO)
    for name in _KEYS:
        os.environ.pop(name, None)
    # An import of either then raises, with a traceback that no answer may hold.
    sys.modules |= dict.fromkeys(("tensorflow", "keras"))
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)

"""Keras' backend, checked before Keras starts.

Keras takes it from KERAS_BACKEND, else from its own file keras.json, and raises a traceback where it is missing.
"""

import contextlib
import difflib
import gc
import importlib.util
import json
import os
import pathlib
import sys
from collections.abc import Iterator

from geods import errors

VARIABLE = "KERAS_BACKEND"
DEFAULT = "tensorflow"
# Those that compute gradients; Keras 3.15 also has numpy and openvino, which only predict.
NAMES = (DEFAULT, "jax", "torch")
# Keras imports them where they are installed, for wrappers, data frames and plots that no program uses.
_EXTRAS = ("IPython", "matplotlib", "pandas", "sklearn")


def name() -> str:
    """Returns the name of the backend that Keras will take."""
    return _chosen()[0]


def check_backend() -> None:
    """Checks that Keras' backend is one that trains and is installed.

    Raises:
        OptionError: If it is not.
    """
    found, where = _chosen()
    if found not in NAMES:
        close = difflib.get_close_matches(found, NAMES, n=1)
        step = f"export {VARIABLE}={close[0] if close else DEFAULT}"
        raise errors.OptionError(f"{where}{found}: the networks run on {', '.join(NAMES)}.", step)
    if importlib.util.find_spec(found) is None:
        step = f'pip install "geods[{found}]", or export {VARIABLE}={DEFAULT}'
        raise errors.OptionError(f"{where}{found}: {found} is not installed.", step)


def _chosen() -> tuple[str, str]:
    """Returns the name of the backend and what chose it, as Keras does."""
    if chosen := os.environ.get(VARIABLE):
        return chosen, f"{VARIABLE}="
    path = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras") / "keras.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["backend"]), f"{path}: backend "
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT, ""


@contextlib.contextmanager
def light_imports() -> Iterator[None]:
    """Halves the processor time of importing TensorFlow, 2.6 instead of 5.0 s.

    In the block Keras finds its optional libraries missing, which saves 1.7 s and 150 MB, and garbage collection is
    off, which saves 0.7 s. Afterwards the libraries can be imported as usual.
    """
    hidden = [name for name in _EXTRAS if name not in sys.modules]
    # None is documented to stop an import.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
        # Modules stay to the end of the process: they are never garbage.
        gc.freeze()
        if was_enabled:
            gc.enable()

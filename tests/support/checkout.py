"""Paths of this checkout and of the folder of real files, if it is there."""

import os
import pathlib

REPO = pathlib.Path(__file__).parents[2]
SHARED = REPO.parent / "shared"
# What a program needs on PYTHONPATH to import these helpers; pyproject.toml lists the same for pytest.
_TESTS = REPO / "tests"
SUPPORT = [str(path) for path in (_TESTS / "support", *sorted((_TESTS / "support").glob("[a-z]*/")), _TESTS / "soak")]


def environment() -> dict[str, str]:
    """Returns an environment in which a script of the tests finds the helpers."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(REPO), *SUPPORT])}

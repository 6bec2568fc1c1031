"""Keras' backend is checked before Keras starts, wherever its name comes from."""

import gc
import importlib
import importlib.util
import sys

import pytest

from geods import errors
from geods.cli import backend

ABSENT = [
    pytest.param(
        name,
        f'KERAS_BACKEND={name}: {name} is not installed.\nNext: pip install "geods[{name}]", or export'
        " KERAS_BACKEND=tensorflow",
        marks=pytest.mark.skipif(importlib.util.find_spec(name) is not None, reason=f"{name} is here"),
    )
    for name in ("jax", "torch")
]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tensorflwo",
            "KERAS_BACKEND=tensorflwo: the networks run on tensorflow, jax, torch.\n"
            "Next: export KERAS_BACKEND=tensorflow",
        ),
        ("jaxx", "KERAS_BACKEND=jaxx: the networks run on tensorflow, jax, torch.\nNext: export KERAS_BACKEND=jax"),
        (
            "openvino",
            "KERAS_BACKEND=openvino: the networks run on tensorflow, jax, torch.\nNext: export KERAS_BACKEND=",
        ),
        *ABSENT,
    ],
)
def test_an_unfit_backend_is_refused(name, message, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(errors.OptionError) as refused:
        backend.check_backend()
    assert str(refused.value).startswith(message)


def test_the_file_of_keras_chooses_where_the_variable_does_not(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert backend.name() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "numpy"}')
    with pytest.raises(errors.OptionError, match=f"{tmp_path}/keras.json: backend numpy: the networks run on"):
        backend.check_backend()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    backend.check_backend()


def test_light_imports_hide_what_keras_would_import_for_others(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    with backend.light_imports():
        assert not gc.isenabled()
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("matplotlib")
    assert gc.isenabled()
    assert importlib.util.find_spec("matplotlib")

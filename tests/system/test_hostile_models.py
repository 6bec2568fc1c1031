"""Hostile models, weights and datasets, which need Keras or TFDS to be read."""

import json
import pathlib
import pickle
import stat
import sys
import zipfile

import h5py
import hostile
import keras
import numpy as np
import pytest

from geods import errors
from geods.dataset import dataset_reader
from model import geolocator
from model.encoders import weights

SECRET = float(hostile.SECRET_LON)


def small() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")])


def saved(here: pathlib.Path, **changed: bytes) -> pathlib.Path:
    """Writes a model with some of its files changed.

    `config` stands for config.json, `weights` for its weights.
    """
    small().save(here / "whole.keras")
    names = {"config": "config.json", "weights": "model.weights.h5"}
    with zipfile.ZipFile(here / "whole.keras") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {names.get(name, name): value for name, value in changed.items()}
    with zipfile.ZipFile(here / "m.keras", "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return here / "m.keras"


def of_layer(module: str, name: str, **config: object):
    """A model with another layer; {outside} is the folder that must not be read."""

    def read(here):
        part = {"module": module, "class_name": name, "config": config, "registered_name": None}
        whole = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [part]}}
        text = json.dumps(whole).replace("{outside}", str(here / hostile.OUTSIDE))
        return geolocator.load(saved(here, config=text.encode()))

    return read


def with_lambda(path: pathlib.Path) -> pathlib.Path:
    """Saves a model with a Lambda, which Keras runs once as it makes it."""
    mark = str(path.parent / hostile.OUTSIDE / "mark")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: [x, pathlib.Path(mark).touch()][0])])
    model.save(path)
    pathlib.Path(mark).unlink()
    hostile.forget()
    return path


def of_bytes(content):
    def read(here):
        (here / "m.keras").write_bytes(content(here))
        return geolocator.load(here / "m.keras")

    return read


def secret_weights(here: pathlib.Path) -> pathlib.Path:
    """Weights outside, as HDF5 and as plain bytes."""
    outside = here / hostile.OUTSIDE
    with h5py.File(outside / "w.h5", "w") as file:
        file["kernel"] = np.full((4, 3), SECRET, np.float32)
    np.full((4, 3), SECRET, np.float32).tofile(outside / "w.bin")
    return outside


def linked(path: pathlib.Path, outside: pathlib.Path, how: str) -> None:
    """Replaces a kernel in a weights file by one that lies in another file."""
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if getattr(item, "shape", None) == (4, 3) else None)
        del file[found[0]]
        if how == "link":
            file[found[0]] = h5py.ExternalLink(str(outside / "w.h5"), "kernel")
        elif how == "virtual":
            layout = h5py.VirtualLayout((4, 3), np.float32)
            layout[:] = h5py.VirtualSource(str(outside / "w.h5"), "kernel", (4, 3))
            file.create_virtual_dataset(found[0], layout)
        else:
            file.create_dataset(found[0], (4, 3), np.float32, external=[(str(outside / "w.bin"), 0, 48)])


def of_weights(how: str, inside: bool):
    """Weights that lie elsewhere, in a model or for an encoder."""

    def read(here):
        outside = secret_weights(here)
        path = here / "w.weights.h5"
        model = small()
        model.save_weights(path)
        linked(path, outside, how)
        if inside:
            model = geolocator.load(saved(here, weights=path.read_bytes()))
        else:
            weights._load(model, "dense", str(path))
        return [weight.numpy().tolist() for weight in model.weights]

    return read


def of_dataset(here):
    """A dataset whose features are of a class in a module that lies beside it."""
    folder = here / "data" / "geods" / "random" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"name": "geods", "version": "1.0.0", "splits": []}))
    content = {"pythonClassName": "data.evil.Features", "featuresDict": {"features": {}}}
    (folder / "features.json").write_text(json.dumps(content))
    (here / "data" / "evil.py").write_text("import os; os.system('true')")
    sys.path.insert(0, str(here))
    try:
        return dataset_reader.open_builder(here / "data", "random")
    finally:
        sys.path.remove(str(here))


def of_link(here):
    path = saved(here)
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("assets/link")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, str(here / hostile.OUTSIDE / "secret.txt"))
        archive.writestr("../outside/mark", b"")
        archive.writestr(str(here / hostile.OUTSIDE / "mark"), b"")
    return geolocator.load(path)


def of_bomb(here):
    with zipfile.ZipFile(here / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 100_000_000)
    return geolocator.load(here / "m.keras")


HOSTILE = {
    "model with a Lambda": lambda here: geolocator.load(with_lambda(here / "m.keras")),
    "model whose layer is os.system": of_layer("os", "system", command="true"),
    "model whose layer fetches a file": of_layer("keras.utils", "get_file", fname="f", origin="file://{outside}/w.bin"),
    "model that unlocks unsafe loading": of_layer("keras.config", "enable_unsafe_deserialization"),
    "model that loads another model": of_layer("keras.layers", "TFSMLayer", filepath="{outside}", call_endpoint="s"),
    "model of a class that lies beside it": of_layer("hostile", "Payload", mark="x"),
    "model nested too deep": lambda here: geolocator.load(saved(here, config=hostile.nested().encode())),
    "model with files and links elsewhere": of_link,
    "model that unpacks to 100 MB": of_bomb,
    "pickle named .keras": of_bytes(lambda here: pickle.dumps(hostile.Payload(here / hostile.OUTSIDE / "mark"))),
    "HDF5 with a Lambda named .keras": of_bytes(lambda here: with_lambda(here / "m.h5").read_bytes()),
    "dataset with a class of its own": of_dataset,
    **{
        f"weights of {what} {how}": of_weights(how, what == "a model")
        for what in ("a model", "an encoder")
        for how in ("link", "virtual", "external")
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_model_does_no_harm(name, tmp_path):
    with hostile.watching(tmp_path) as done:
        (tmp_path / hostile.OUTSIDE / "w.bin").touch()
        try:
            found = repr(HOSTILE[name](tmp_path))
        except errors.GeodsError as error:
            found = str(error)
    # What the test itself puts outside, for others to find.
    done = [what for what in done if not what.endswith(("w.bin", "w.h5", "was written to"))]
    assert done == []
    assert not (tmp_path / hostile.OUTSIDE / "mark").exists()
    assert str(SECRET) not in found
    assert "SavedModel" not in found

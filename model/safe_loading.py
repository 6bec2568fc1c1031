"""Checks of a saved model's config before Keras loads it.

Keras refuses code in model files by itself (safe_mode), but its list of what runs code or reads other files has had
holes: TFSMLayer, whose constructor loads any SavedModel, is reached in 3.15 (github.com/keras-team/keras/pull/23654),
and functions of keras.utils and keras.config have been used to fetch files and to switch safe_mode off
(CVE-2025-1550, CVE-2025-8747, CVE-2025-9906). None of them is ever in a network of ours.
"""

import os
import zipfile
from typing import Any

from geods.storage import files

_CONFIG = "config.json"
_HUB = "keras_hub"
_ROOTS = ("keras", _HUB, "model", "builtins")
_NOT_OF = ("utils", "config", "saving", "legacy")
_RUNS_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__")


def check_foreign(path: str | os.PathLike[str]) -> bool:
    """Checks that a .keras file is whole and holds only known classes.

    Returns:
        Whether it has layers of keras-hub, which must be imported before it is read.

    Raises:
        ValueError: If a file in it is damaged, or it has anything that is neither of Keras, keras-hub nor of this
            package, or that runs code.
        KeyError: If it has no config.
    """
    files.check_not_bomb(path)
    with zipfile.ZipFile(path) as archive:
        # h5py 3.16, which would meet the damage, ends the process by a signal (SIGSEGV) when Python exits.
        if damaged := archive.testzip():
            raise ValueError(f"the bytes of its {damaged} have changed since it was written")
        config = files.parse_json(archive.read(_CONFIG))
    return _HUB in {_root_of(item) for item in files.objects_in(config) if "class_name" in item}


def _root_of(item: dict[str, Any]) -> str:
    """Returns the package of a serialized object after checking it."""
    module, name = str(item.get("module") or "keras"), str(item["class_name"])
    words = module.removeprefix("keras.src.").removeprefix("keras.").split(".")
    if module.split(".")[0] not in _ROOTS or words[0] in _NOT_OF or name in _RUNS_CODE:
        raise ValueError(f"it holds {name} of {module}, which could run code or read other files")
    return module.split(".")[0]

"""The file format of a feature cache: key, rows and blocks.

    <cache_dir>/<split>/index.json         its key and shape, the SHA-256 of each file
    <cache_dir>/<split>/index.npz          location ids, coordinates, headings
    <cache_dir>/<split>/blocks/00000.npy   features of the first `block_rows` views, and so on
    <cache_dir>/<split>/variant1/...       the same of augmented images, if there are --variants
    <cache_dir>/int8/...                   the encoder, with --precision=int8 (trainers/features/quantization.py)

One row is one view; the views of a location follow each other. NumPy does not know bfloat16: it is stored as uint16.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from geods import errors
from geods.storage import files
from geods.tree import string_array, table
from model.encoders import onnx_files

FORMAT = 1
EXACT_PIXELS = "cpu, exact pixels"
INDEX, ARRAYS, _BLOCKS = "index.json", "index.npz", "blocks"
# Of an encoder in 8 bits: two of OpenVINO's own format, and their key (trainers/features/quantization.py).
ENCODER_FILES = ("encoder.xml", "encoder.bin", "made_of.json")
_NUMBERS = ("coords", "views", "headings")


@dataclasses.dataclass(frozen=True)
class CacheKey:
    """Dataset, encoder and runtime of a cache.

    Two caches with equal keys hold the same features.

    Attributes:
        dataset: `dataset_reader.fingerprint_of` the dataset.
        split: Its split.
        backbone: Name of the encoder.
        weights_sha256: Hash of the encoder's weights.
        height_px: Height of the images.
        width_px: Width of the images.
        more_heights_px: Heights of further image sizes, joined by commas.
        preprocessing: "own", "raw", or mean and scale of what an ONNX file is fed.
        layer: Layer of the encoder, "" for its output.
        pooling: "none", "avg", "max" or "moments".
        precision: Policy the encoder ran in, or "int8".
        dtype: Type the features are stored in.
        variant: How the images were changed, "" if they were not.
        runtime: The library that ran the encoder.
        decode: "cpu", "cpu, exact pixels" or "gpu": how the JPEGs were decoded (geods/input/jpeg_scale.py).
        quantized_sha256: With precision "int8", hash of the calibrated encoder, else "".
    """

    dataset: str
    split: str
    backbone: str
    weights_sha256: str
    height_px: int
    width_px: int
    preprocessing: str
    layer: str
    pooling: str
    precision: str
    dtype: str
    more_heights_px: str = ""
    variant: str = ""
    runtime: str = "tensorflow"
    decode: str = "cpu"
    quantized_sha256: str = ""

    @classmethod
    def of(cls, spec: Any, **others: str) -> "CacheKey":  # noqa: ANN401 - BackboneSpec, whose module imports Keras
        """Returns the key of an encoder's features.

        The fields that are not the encoder's are given by name.
        """
        return cls(
            backbone=onnx_files.key_name(spec.name),
            height_px=spec.height_px,
            width_px=spec.width_px,
            more_heights_px=joined(spec.more_heights_px),
            preprocessing=onnx_files.preprocessing_text(spec.name, spec.mean, spec.scale, spec.preprocessing),
            layer=spec.layer,
            pooling=spec.pooling,
            **others,
        )

    def of_encoder(self, encoder: Any) -> "CacheKey":  # noqa: ANN401 - EncoderOptions, which are above this module
        """Returns the key with another encoder, that of options, but its own weights."""
        fed = (encoder.backbone, encoder.mean, encoder.scale, encoder.preprocessing)
        return dataclasses.replace(
            self,
            backbone=onnx_files.key_name(encoder.backbone),
            height_px=encoder.height_px,
            width_px=encoder.width_px,
            more_heights_px=joined(encoder.more_heights_px),
            preprocessing=onnx_files.preprocessing_text(*fed),
            layer=encoder.layer or (self.layer if encoder.unfreeze else ""),
            pooling=encoder.pooling,
        )

    @property
    def encoders_line(self) -> str:
        """Comment of a flag file that names joined encoders in their order."""
        return f"# encoders {self.backbone} {self.layer} {self.pooling} {self.preprocessing} {self.weights_sha256}"

    def differences(self, other: "CacheKey") -> list[str]:
        """Returns one text for each field that differs.

        Name, own value, the other's value.
        """
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return [f"{name} is {mine[name]!r}, wanted {theirs[name]!r}" for name in mine if mine[name] != theirs[name]]


def joined(heights_px: Sequence[int]) -> str:
    """Returns heights as the text of a key."""
    return ",".join(map(str, heights_px))


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Locations and headings of the rows of a cache.

    Attributes:
        location_ids: `[locations]`.
        coords: `[locations, 2]` float64 degrees, (lat, lon).
        views: `[locations]` int, number of rows of each location.
        headings: `[rows]` float32 degrees, NaN where not known.
    """

    location_ids: string_array.Texts
    coords: np.ndarray
    views: np.ndarray
    headings: np.ndarray

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """`[locations + 1]` int: location i has rows starts[i] to starts[i + 1]."""
        return table.starts_of(self.views)

    @classmethod
    def joined(cls, parts: Sequence["Rows"]) -> "Rows":
        """Returns the rows of several, one after the other."""
        numbers = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _NUMBERS}
        return cls(string_array.Texts.joined([part.location_ids for part in parts]), **numbers)

    def position_of(self, row: int) -> tuple[int, int]:
        """Returns a row's location, and the number of rows of that location before it."""
        location = table.owner_of(self.starts, row)
        return location, row - int(self.starts[location])

    def __len__(self) -> int:
        """Returns the number of rows."""
        return int(self.views.sum())


def numpy_dtype(name: str) -> np.dtype:
    """Returns the NumPy type of features read from a cache."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def to_stored(features: np.ndarray, dtype: str) -> np.ndarray:
    """Returns features in the type they are stored in."""
    typed = np.ascontiguousarray(features.astype(numpy_dtype(dtype)))
    return typed.view(np.uint16) if dtype == "bfloat16" else typed


def folder_of(cache_dir: str | os.PathLike[str], split: str, variant: int = 0) -> pathlib.Path:
    """Returns the folder of a split's cache.

    `variant` counts augmented copies from 1.
    """
    folder = pathlib.Path(cache_dir, split)
    return folder / f"variant{variant}" if variant else folder


def block_path(folder: pathlib.Path, block: int) -> pathlib.Path:
    """Returns the file of a block."""
    return folder / _BLOCKS / f"{block:05d}.npy"


def write_block(folder: pathlib.Path, block: int, features: np.ndarray, dtype: str) -> int:
    """Writes one block, whole or not at all, and returns its bytes.

    Args:
        folder: Of the split.
        block: Its number.
        features: `[rows, *feature_shape]`, any float type.
        dtype: Type to store them in.
    """
    path = block_path(folder, block)
    stored = to_stored(features, dtype)
    with files.atomic_path(path, stored.nbytes) as temporary:
        np.save(temporary, stored, allow_pickle=False)
    return path.stat().st_size


def write_index(folder: pathlib.Path, index: dict[str, Any]) -> None:
    """Writes index.json with its own SHA-256."""
    files.write_json(folder / INDEX, index | {"index_sha256": _digest(index)})


def read_index(folder: pathlib.Path) -> dict[str, Any]:
    """Reads index.json."""
    path = folder / INDEX
    try:
        index: dict[str, Any] = files.parse_json(path.read_bytes())
        if index["format"] != FORMAT:
            raise errors.CacheError(
                f"{path}: has format {index['format']}, this version reads {FORMAT}.", extract_again(folder)
            )
        # Caches of older versions have none.
        if index.pop("index_sha256", None) not in (None, _digest(index)):
            raise errors.CacheError(f"{path}: its bytes have changed since it was written.", extract_again(folder))
        _check_types(index)
    except OSError as error:
        raise errors.CacheError(f"{folder}: no feature cache there.", resume(folder)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise errors.CacheError(f"{path}: is damaged ({error}).", extract_again(folder)) from error
    return index


def _check_types(index: dict[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError for missing or mistyped fields."""
    CacheKey(**index["key"])
    shape, hashes, spec = index["feature_shape"], index["sha256"], index["spec"]
    if not all(isinstance(part, list) for part in (shape, hashes)) or not isinstance(spec, dict):
        raise TypeError("feature_shape, sha256 or spec is of another type")
    numbers = (index["rows"], index["block_rows"], *shape)
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        raise ValueError("rows, block_rows or feature_shape is not above 0")


def to_arrays(rows: Rows) -> dict[str, np.ndarray]:
    """Returns the arrays of index.npz.

    Caches of older versions hold the ids as NumPy's text.
    """
    return {"location_ids": rows.location_ids.encoded, **{name: getattr(rows, name) for name in _NUMBERS}}


def read_rows(folder: pathlib.Path) -> Rows:
    """Reads index.npz."""
    path = folder / ARRAYS
    try:
        files.check_not_bomb(path)
        with np.load(path, allow_pickle=False) as arrays:
            numbers = {name: arrays[name] for name in _NUMBERS}
            numbers["views"] = table.narrow(numbers["views"])
            return Rows(string_array.Texts(arrays["location_ids"]), **numbers)
    # A header may claim more than there is memory for.
    except (OSError, ValueError, KeyError, MemoryError) as error:
        raise errors.CacheError(f"{path}: is missing or damaged ({error}).", extract_again(folder)) from error


def _digest(index: dict[str, Any]) -> str:
    """Returns the SHA-256 of an index."""
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode("utf-8")).hexdigest()


def check_same_key(folder: pathlib.Path, found: CacheKey, wanted: CacheKey) -> None:
    """Raises CacheError if a cache has another key."""
    if differences := found.differences(wanted):
        raise errors.CacheError(
            f"{folder}: is a cache of something else: {'; '.join(differences)}.", extract_again(folder)
        )


def resume(folder: pathlib.Path) -> str:
    """Returns the command that makes or finishes a cache."""
    return (
        f"python -m trainers.extract --cache_dir={folder.parent}, with the encoder's flags; it resumes where it ended"
    )


def extract_again(folder: pathlib.Path) -> str:
    """Returns how to replace a cache, whose flags are not all in it."""
    return f"repeat the trainers.extract that made {folder.parent} with --overwrite, or name another --cache_dir"


def rewrite_block(path: pathlib.Path) -> str:
    """Returns how to replace one block."""
    return f"delete {path} and run trainers.extract again; it writes only what is missing"

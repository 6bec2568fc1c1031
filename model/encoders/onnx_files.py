"""ONNX files as encoders: names, normalisation, and files of weights.

    --backbone=onnx:clip.onnx --mean=clip

A file may keep its weights beside it, as torch.onnx does by default (`clip.onnx.data`); they are hashed and copied with
it. Nothing here needs Keras or a runtime.
"""

import functools
import hashlib
import os
import pathlib
import shutil
from typing import Any

from geods import errors
from geods.storage import files

PREFIX = "onnx:"
_GRAPH = "model.onnx"
# Mean and scale of RGB levels from 0 to 255: (level - mean) / scale. CLIP's and ImageNet's are those of
# github.com/openai/CLIP (clip.py) and torchvision, `inception` gives -1 to 1, and `lite` is EfficientNet-Lite's.
PRESETS = {
    "clip": ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "inception": ((127.5,) * 3, (127.5,) * 3),
    "lite": ((127.0,) * 3, (128.0,) * 3),
}
_RAW = ((0.0,) * 3, (1.0,) * 3)

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


def is_onnx(name: str) -> bool:
    """Returns whether a backbone is a file of ONNX."""
    return name.startswith(PREFIX)


def path_of(name: str) -> pathlib.Path:
    """Returns the file of a backbone `onnx:PATH`.

    Raises:
        MissingFileError: If there is none.
    """
    return files.check_file(name.removeprefix(PREFIX), "--backbone=onnx:PATH takes the path of an ONNX file")


def normalisation(mean: str, scale: str, is_raw: bool) -> Normalisation:
    """Returns mean and scale of RGB levels 0 to 255, three numbers each.

    Args:
        mean: --mean, the name of a preset or one number or three.
        scale: --scale, the same; not needed where the mean is a preset.
        is_raw: Whether images are passed as they are, 0 to 255.

    Raises:
        BackboneError: If they are missing, no numbers, or of levels from 0 to 1.
    """
    names = ", ".join(PRESETS)
    if is_raw and not mean and not scale:
        return _RAW
    if not is_raw and mean in PRESETS and scale in ("", mean):
        return PRESETS[mean]
    step = f"give --mean as one of {names}, or as levels of 0 to 255 with --scale: --mean=127.5 --scale=127.5"
    if is_raw or not mean or not scale:
        given = f"--mean={mean or '(empty)'} and --scale={scale or '(empty)'}"
        problem = f"{given}{' with --preprocessing=raw' if is_raw else ''}: an ONNX file does not say what it was fed."
        raise errors.BackboneError(problem, step)
    try:
        numbers = [tuple(float(word) for word in text.split(",")) for text in (mean, scale)]
    except ValueError as error:
        raise errors.BackboneError(f"--mean={mean} --scale={scale}: {error}.", step) from error
    if any(len(values) not in (1, 3) for values in numbers) or min(numbers[1]) <= 0:
        problem = f"--mean={mean} --scale={scale}: must be one number or three, and a scale above 0."
        raise errors.BackboneError(problem, step)
    if max(numbers[1]) <= 1:
        mean_255, scale_255 = (",".join(f"{255 * value:g}" for value in values) for values in numbers)
        problem = f"--mean={mean} --scale={scale}: these are of levels from 0 to 1; ours are 0 to 255."
        raise errors.BackboneError(problem, f"give --mean={mean_255} --scale={scale_255}")
    whole = [values * (3 // len(values)) for values in numbers]
    return whole[0], whole[1]


def preprocessing_text(name: str, mean: str, scale: str, preprocessing: str) -> str:
    """Returns the preprocessing as the text of a cache key."""
    if not is_onnx(name):
        return preprocessing
    numbers = normalisation(mean, scale, preprocessing == "raw")
    return " ".join(
        f"{word} {','.join(f'{value:g}' for value in values)}"
        for word, values in zip(("mean", "scale"), numbers, strict=True)
    )


def key_name(name: str) -> str:
    """Returns a backbone as the text of a cache key; a file may be moved."""
    return PREFIX + pathlib.Path(name).name if is_onnx(name) else name


def external_files(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files beside an ONNX file that hold weights of it, sorted.

    Raises:
        BackboneError: If it is no ONNX file, names a file outside its folder, or one is missing.
    """
    graph = parsed(path).graph
    tensors = [*graph.initializer, *(value.t for node in graph.node for value in node.attribute)]
    names = {pair.value for tensor in tensors for pair in tensor.external_data if pair.key == "location"}
    found = [path.parent / name for name in sorted(names)]
    for name, file in zip(sorted(names), found, strict=True):
        # The specification forbids it, and a model of somebody else could name any file.
        if pathlib.PurePath(name).name != name or file.is_symlink():
            problem = f"{path}: names weights in {name!r}, which is not a file beside it."
            raise errors.BackboneError(problem, "export the model again, with its weights beside it")
        if not file.is_file():
            problem = f"{path}: its weights are in {name}, which is not beside it."
            raise errors.BackboneError(problem, f"put {name} into {path.parent}")
    return found


def resizes_antialiased(path: pathlib.Path) -> bool:
    """Returns whether a graph has an antialiased Resize.

    OpenVINO 2026.4 reads antialias=1 as 0, without a warning.
    """
    resizes = (node for node in parsed(path).graph.node if node.op_type == "Resize")
    return any(value.name == "antialias" and value.i for node in resizes for value in node.attribute)


def sha256_of(path: pathlib.Path) -> bytes:
    """Returns the SHA-256 of an ONNX file and the weights beside it, 32 bytes."""
    digest = hashlib.sha256(files.sha256_of_file(path).encode())
    for file in external_files(path):
        digest.update(f"{file.name} {files.sha256_of_file(file)}".encode())
    return digest.digest()


def copy(path: pathlib.Path, folder: str | os.PathLike[str]) -> pathlib.Path:
    """Copies an ONNX file with its weights into a folder; returns its new path."""
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for file in external_files(path):
        shutil.copyfile(file, pathlib.Path(folder, file.name))
    return pathlib.Path(shutil.copyfile(path, pathlib.Path(folder, _GRAPH)))


def copied(folder: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path of the file that `copy` wrote."""
    return pathlib.Path(folder, _GRAPH)


def with_free_sizes(path: pathlib.Path, inputs: set[str], output: str) -> bytes:
    """Returns a file whose named inputs take any size and that gives one tensor."""
    model = parsed(path)
    for one in model.graph.input:
        if one.name in inputs:
            for number, side in enumerate(one.type.tensor_type.shape.dim):
                side.Clear()
                side.dim_param = f"side_{number}"
    # They say the sizes of the declared images, and ONNX Runtime would warn of each.
    del model.graph.value_info[:], model.graph.output[:]
    model.graph.output.add(name=output)
    content: bytes = model.SerializeToString()
    return content


def parsed(path: pathlib.Path) -> Any:  # noqa: ANN401 - a protobuf message
    """Returns a file as an ONNX ModelProto; fields that are not named here are kept.

    Raises:
        BackboneError: If it is none.
    """
    model = _messages()["ModelProto"]()
    try:
        model.ParseFromString(path.read_bytes())
    # Of protobuf: DecodeError, or what its C code raises for a file that is too large.
    except Exception as error:
        model.Clear()
        raise errors.BackboneError(f"{path}: is not an ONNX file ({errors.in_short(error)}).", "export it again") from (
            error
        )
    if not model.graph.node:
        raise errors.BackboneError(f"{path}: is not an ONNX file, or its graph is empty.", "export it again")
    return model


@functools.cache
def _messages() -> dict[str, Any]:
    """Returns the classes of the messages in onnx.proto3 that are used here.

    TensorFlow brings protobuf, and the package onnx would bring 9 MB for these few fields. Unknown fields stay.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds, message, many = {"": 9, "int64": 3}, 11, 3
    layout = {
        "ModelProto": [("graph", 7, "GraphProto", False)],
        "GraphProto": [
            ("node", 1, "NodeProto", True),
            ("initializer", 5, "TensorProto", True),
            ("input", 11, "ValueInfoProto", True),
            ("output", 12, "ValueInfoProto", True),
            ("value_info", 13, "ValueInfoProto", True),
        ],
        "NodeProto": [("op_type", 4, "", False), ("attribute", 5, "AttributeProto", True)],
        "AttributeProto": [("name", 1, "", False), ("i", 3, "int64", False), ("t", 5, "TensorProto", False)],
        "TensorProto": [("external_data", 13, "StringStringEntryProto", True)],
        "StringStringEntryProto": [("key", 1, "", False), ("value", 2, "", False)],
        "ValueInfoProto": [("name", 1, "", False), ("type", 2, "TypeProto", False)],
        "TypeProto": [("tensor_type", 1, "TensorTypeProto", False)],
        "TensorTypeProto": [("shape", 2, "TensorShapeProto", False)],
        "TensorShapeProto": [("dim", 1, "DimensionProto", True)],
        "DimensionProto": [("dim_param", 2, "", False)],
    }
    file = descriptor_pb2.FileDescriptorProto(name="geods_onnx.proto", package="geods.onnx", syntax="proto3")
    for name, fields in layout.items():
        described = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            described.field.add(
                name=field,
                number=number,
                type=kinds.get(kind, message),
                type_name=None if kind in kinds else f".geods.onnx.{kind}",
                label=many if repeated else 1,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"geods.onnx.{name}")) for name in layout}

"""ONNX graphs cut at one named output, compiled for images of one size.

    graph = onnx_graph.Graph(pathlib.Path("vit.onnx"), layer="", arithmetic="float32")
    plan = graph.plan(294, 588)     # its feature shape, and notes on what is cropped or squeezed
    graph.run(levels)               # float32 [n, 294, 588, 3] -> float32 [n, *plan.feature_shape]

OpenVINO reads the file and runs it on the CPU; where ONNX Runtime has a GPU, that runs it.
"""

import dataclasses
import difflib
import functools
import importlib.util
import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from geods import errors
from model.encoders import onnx_files

OPENVINO, ONNX_RUNTIME = "openvino", "onnxruntime"
# OpenVINO's names of Keras' types.
_ARITHMETIC = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_GPU_PROVIDERS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider")
# Class token and registers at most; DINOv2 with registers has 5.
_MOST_PREFIX_TOKENS = 16
_PROBE_PX = 224

Runner = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Features of images of one size.

    Attributes:
        layout: "nchw" or "nhwc" of a feature map, "tokens" or "vector".
        feature_shape: (h', w', c), or (c,) of a vector.
        tokens: Of tokens, how many an image has.
        one_by_one: Whether the graph takes one image at a time.
        notes: What becomes of images, in sentences; empty if all of them is used at the declared size.
    """

    layout: str
    feature_shape: tuple[int, ...]
    tokens: int = 0
    one_by_one: bool = False
    notes: tuple[str, ...] = ()

    def features(self, values: np.ndarray) -> np.ndarray:
        """Returns output values `[n, ...]` as float32 features `[n, *feature_shape]`."""
        if self.layout == "nchw":
            values = values.transpose(0, 2, 3, 1)
        elif self.layout == "tokens":
            # The first are those of the class and of registers.
            values = values[:, self.tokens - math.prod(self.feature_shape[:2]) :]
        return np.ascontiguousarray(values, np.float32).reshape(len(values), *self.feature_shape)


def gpu_providers() -> list[str]:
    """Returns the GPU providers of ONNX Runtime, none if it is not installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return []
    import onnxruntime

    return [name for name in _GPU_PROVIDERS if name in onnxruntime.get_available_providers()]


def runtime() -> str:
    """Returns the library that runs ONNX files here."""
    return ONNX_RUNTIME if gpu_providers() else OPENVINO


class Graph:
    """An ONNX file cut at one named output.

    Args:
        path: The file.
        layer: Name of an output or of any tensor inside; "" for the first output.
        arithmetic: "float32", "bfloat16" or "float16".
        providers: Of ONNX Runtime, to run it there; OpenVINO runs it if empty.

    Raises:
        BackboneError: If OpenVINO is not installed or cannot read the file, there is no such layer, or it does not
            follow from one image alone.
    """

    def __init__(
        self, path: pathlib.Path, layer: str, arithmetic: str = "float32", providers: tuple[str, ...] = ()
    ) -> None:
        if problem := errors.problem_with_library("openvino", "OpenVINO"):
            problem = f"{path.name}: ONNX files are read by OpenVINO; {problem}."
            raise errors.BackboneError(problem, 'pip install "geods[openvino]"')
        import openvino

        # Checked first: OpenVINO would open whatever file the model names.
        onnx_files.external_files(path)
        self.path, self._arithmetic, self._providers = path, arithmetic, providers
        self._core = openvino.Core()
        try:
            whole = self._core.read_model(path)
        # OpenVINO raises RuntimeError with the name of an operation it lacks.
        except RuntimeError as error:
            problem = f"{path}: OpenVINO cannot read it: {errors.in_short(error)}"
            raise errors.BackboneError(problem, "export it with another opset, or for inference only") from error
        self.layer, port = _find_output(whole, path, layer)
        self._model = openvino.Model([port], _inputs_of(port))
        self._input = _image_input(self._model, path, self.layer)
        self._plans: dict[tuple[int, int], Plan] = {}
        self._runners: dict[tuple[int, int], Runner] = {}

    def plan(self, height_px: int, width_px: int) -> Plan:
        """Returns the features of images of a size.

        Raises:
            BackboneError: If the graph takes images of another size only, or gives no features of each image.
        """
        size = (height_px, width_px)
        if size not in self._plans:
            self._plans[size] = self._planned(*size)
        return self._plans[size]

    def run(self, levels: np.ndarray) -> np.ndarray:
        """Returns the features of normalised images, float32 `[n, h, w, 3]`."""
        height_px, width_px = levels.shape[1:3]
        plan = self.plan(height_px, width_px)
        if not len(levels):
            return np.zeros((0, *plan.feature_shape), np.float32)
        key = (height_px, width_px)
        if key not in self._runners:
            compiled = self._in_onnx_runtime() if self._providers else self._compiled(key, plan.one_by_one)
            self._runners[key] = compiled
        runner, dtype = self._runners[key], self.input_type
        values = levels if self.is_channels_last else levels.transpose(0, 3, 1, 2)
        values = np.ascontiguousarray(values if dtype != np.uint8 else np.clip(np.rint(values), 0, 255), dtype)
        if plan.one_by_one:
            return plan.features(np.concatenate([runner(values[n : n + 1]) for n in range(len(values))]))
        return plan.features(runner(values))

    def _planned(self, height_px: int, width_px: int) -> Plan:
        declared, size = self._input.size_px, f"{height_px}x{width_px} px"
        notes = []
        # With two images first: a graph that was traced with one may have that number written into it.
        for count in (2, 1):
            shape = self._shape_at(count, height_px, width_px)
            if shape and shape[0] == count:
                break
        else:
            step = f"give --height_px={declared[0]} --width_px={declared[1]}: images are squeezed to that, not cropped"
            if declared in ((height_px, width_px), (0, 0)):
                step = "give another --layer or size, or export it with free sizes"
            problem = f"{self.path.name}: its output {self.layer!r} cannot be had of images of {size}."
            raise errors.BackboneError(problem, step)
        if all(declared) and declared != (height_px, width_px):
            notes.append(f"declared for {declared[0]}x{declared[1]} px, but not bound to it: it is run at {size}")
        elif all(declared) and not self._shape_at(count, declared[0] + _PROBE_PX, declared[1] + _PROBE_PX):
            notes.append(f"bound to {size}: images of another shape are squeezed or stretched to it, not cropped")
        patch = self._patch_px()
        cropped = (height_px % patch[0], width_px % patch[1])
        if any(cropped):
            nearest = [
                max(step, round(side / step) * step) for side, step in zip((height_px, width_px), patch, strict=True)
            ]
            notes.append(
                f"its patches of {patch[0]}x{patch[1]} px leave out the last {cropped[0]} rows and {cropped[1]} columns"
                f" of {size}; --height_px={nearest[0]} --width_px={nearest[1]} would not"
            )
        if not self._providers and onnx_files.resizes_antialiased(self.path):
            notes.append("resizes with antialias=1, which OpenVINO leaves out: its features are not ONNX Runtime's")
        layout, features, tokens = self._layout(shape, height_px, width_px, count, patch)
        return Plan(layout, features, tokens, count == 1, tuple(f"{self.path.name}: {note}" for note in notes))

    def _layout(
        self, shape: tuple[int, ...], height_px: int, width_px: int, count: int, patch: tuple[int, int]
    ) -> tuple[str, tuple[int, ...], int]:
        """Returns layout, feature shape and tokens of an output of the shape."""
        if len(shape) == 4:
            # The axis that grows with the images is the height: 1 of NHWC, 2 of NCHW.
            taller = self._shape_at(count, height_px + _PROBE_PX * patch[0], width_px) or shape
            grown = [axis for axis in (1, 2) if taller[axis] != shape[axis]]
            is_last = grown == [1] if grown else self._input.axis == 3 and shape[1:3] != (1, 1)
            if is_last:
                return "nhwc", shape[1:], 0
            return "nchw", (shape[2], shape[3], shape[1]), 0
        if len(shape) == 3 and (sides := _sides(shape[1], height_px, width_px, patch)):
            return "tokens", (*sides, shape[2]), shape[1]
        if len(shape) == 2:
            return "vector", shape[1:], 0
        problem = f"{self.path.name}: its output {self.layer!r} of shape {list(shape)} is neither a map, nor tokens of "
        problem += f"patches of {height_px}x{width_px} px, nor one vector an image."
        raise errors.BackboneError(problem, "name another with --layer")

    def _shape_at(self, count: int, height_px: int, width_px: int) -> tuple[int, ...] | None:
        """Returns the output's shape for a size, None if the graph cannot take it."""
        model = self._model.clone()
        try:
            model.reshape({model.inputs[0]: self._input.shape(count, height_px, width_px)})
        # What the first operation raises whose constants do not fit.
        except RuntimeError:
            return None
        shape = model.outputs[0].get_partial_shape()
        return tuple(shape.to_shape()) if shape.is_static else None

    def _patch_px(self) -> tuple[int, int]:
        """Returns the sides of the patches of images, (1, 1) if there are none."""
        for node in self._model.get_ordered_ops():
            if node.get_type_name() == "Convolution":
                strides = tuple(node.get_attributes()["strides"])
                kernel = tuple(node.input(1).get_partial_shape().to_shape()[2:])
                return strides if strides == kernel and len(strides) == 2 else (1, 1)
        return (1, 1)

    @property
    def is_channels_last(self) -> bool:
        """Whether its images are `[n, h, w, 3]`, and not `[n, 3, h, w]`."""
        return self._input.axis == 3

    @property
    def input_type(self) -> Any:  # noqa: ANN401 - a NumPy type
        """NumPy type of its images."""
        return self._model.inputs[0].get_element_type().to_dtype()

    def in_openvino(self, size_px: tuple[int, int], one_by_one: bool = False) -> Any:  # noqa: ANN401
        """Returns OpenVINO's model for images of a size, one or any number."""
        model = self._model.clone()
        model.reshape({model.inputs[0]: self._input.shape(1 if one_by_one else -1, *size_px)})
        return model

    def in_onnx(self) -> bytes:
        """Returns the ONNX file with free sizes and one output.

        The weights beside it are not in it.
        """
        return onnx_files.with_free_sizes(self.path, self.input_names, self.layer)

    @property
    def input_names(self) -> set[str]:
        """Names that the ONNX file may give its images."""
        names: set[str] = self._model.inputs[0].get_names()
        return names

    def _compiled(self, size_px: tuple[int, int], one_by_one: bool) -> Runner:
        model = self.in_openvino(size_px, one_by_one)
        # All cores work on one batch: there is one request at a time.
        settings = {"INFERENCE_PRECISION_HINT": _ARITHMETIC[self._arithmetic], "PERFORMANCE_HINT": "LATENCY"}
        compiled = self._core.compile_model(model, "CPU", settings)
        # A copy, because the next call writes over the memory of the result.
        return lambda values: np.array(compiled(values)[0])

    @functools.cache  # noqa: B019 - a graph lives as long as its layer
    def _in_onnx_runtime(self) -> Runner:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(self.path.parent))
        session = onnxruntime.InferenceSession(
            self.in_onnx(), options, providers=[*self._providers, "CPUExecutionProvider"]
        )
        name = next(one.name for one in session.get_inputs() if one.name in self.input_names)
        return lambda values: np.asarray(session.run([self.layer], {name: values})[0])


@dataclasses.dataclass(frozen=True)
class _ImageInput:
    """Axis of the channels, 1 or 3, and declared (height, width), 0 where free."""

    axis: int
    size_px: tuple[int, int]

    def shape(self, count: int, height_px: int, width_px: int) -> list[int]:
        """Returns the shape of images."""
        return [count, 3, height_px, width_px] if self.axis == 1 else [count, height_px, width_px, 3]


def _find_output(model: Any, path: pathlib.Path, layer: str) -> tuple[str, Any]:  # noqa: ANN401 - of OpenVINO
    """Returns name and port of an output, or of any tensor inside.

    Raises:
        BackboneError: If there is none of the name.
    """
    outputs = {name: port for port in model.outputs for name in sorted(port.get_names())}
    if not layer:
        return next(iter(outputs.items()))
    if layer in outputs:
        return layer, outputs[layer]
    inside = {name: port for node in model.get_ordered_ops() for port in node.outputs() for name in port.get_names()}
    if layer in inside:
        return layer, inside[layer]
    close = difflib.get_close_matches(layer, inside, n=4, cutoff=0.5)
    problem = f"{path.name} has no output {layer!r}."
    outs = ", ".join(list(outputs)[:8])
    raise errors.BackboneError(problem, f"its outputs are {outs}{'; also ' if close else ''}{', '.join(close)}")


def _inputs_of(port: Any) -> list[Any]:  # noqa: ANN401 - of OpenVINO
    """Returns the inputs of a graph that an output follows from."""
    waiting, seen, found = [port.get_node()], set(), []
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() not in seen:
            seen.add(node.get_friendly_name())
            if node.get_type_name() == "Parameter":
                found.append(node)
            waiting += [value.get_node() for value in node.input_values()]
    return found


def _image_input(model: Any, path: pathlib.Path, layer: str) -> _ImageInput:  # noqa: ANN401 - of OpenVINO
    """Returns the layout of the images that a graph takes.

    Raises:
        BackboneError: If it takes something else, or more.
    """
    shapes = [port.get_partial_shape() for port in model.inputs]
    names = [port.get_any_name() for port in model.inputs]
    if len(shapes) == 1 and shapes[0].rank.is_static and len(shapes[0]) == 4:
        sides = [side.get_length() if side.is_static else 0 for side in shapes[0]]
        if sides[1] in (0, 3):
            return _ImageInput(1, (sides[2], sides[3]))
        if sides[3] in (0, 3):
            return _ImageInput(3, (sides[1], sides[2]))
    what = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
    problem = f"{path.name}: its output {layer!r} is made of {what or 'nothing'}, not of RGB images alone."
    raise errors.BackboneError(problem, "name another output with --layer")


def _sides(tokens: int, height_px: int, width_px: int, patch: tuple[int, int]) -> tuple[int, int] | None:
    """Returns rows and columns of the patches among tokens, None if they cannot be."""
    if patch != (1, 1):
        sides = (height_px // patch[0], width_px // patch[1])
        return sides if 0 <= tokens - math.prod(sides) <= _MOST_PREFIX_TOKENS else None
    for count in range(tokens, max(0, tokens - _MOST_PREFIX_TOKENS - 1), -1):
        rows = round(math.sqrt(count * height_px / width_px))
        if rows and count % rows == 0 and rows * width_px == count // rows * height_px:
            return rows, count // rows
    return None

"""Encoder from an ONNX file as a frozen layer that is saved with its network."""

import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from geods import errors
from model import tensors
from model.encoders import onnx_files, onnx_graph


@keras.saving.register_keras_serializable(package="geods")
class OnnxEncoder(keras.layers.Layer):
    """A frozen encoder that another runtime than Keras' computes.

    normalised images `[b, h, w, 3]` -> float32 features `[b, h', w', c]`, or `[b, c]`. It gives no gradients. The file
    and the weights beside it are copied into the .keras file of a network; its only weight in Keras' sense is their
    SHA-256, so that networks with other files have other weights.

    Args:
        layer: Name of the output, "" for the file's first.
        arithmetic: "float32", "bfloat16" or "float16".
        sizes: (height, width, feature shape) of the images it was built for.

    Raises:
        BackboneError: If the file cannot be used.
    """

    def __init__(
        self,
        layer: str = "",
        arithmetic: str = "float32",
        sizes: Sequence[tuple[int, int, Sequence[int]]] = (),
        **options: object,
    ) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.layer, self.arithmetic = layer, arithmetic
        self.supports_jit = False
        self._shapes = {(height, width): tuple(shape) for height, width, shape in sizes}
        # In an exported graph, a stand-in for the runtime.
        self.stand_in: Callable[[tensors.Tensor], tensors.Tensor] | None = None
        self._file: pathlib.Path | None = None
        self._graph: onnx_graph.Graph | None = None
        self.digest = self.add_weight(shape=(32,), dtype="uint8", initializer="zeros", trainable=False, name="sha256")
        self.built = True

    def read(self, path: pathlib.Path, sizes_px: Sequence[tuple[int, int]]) -> None:
        """Reads an ONNX file for some (height, width), and prints notes on them."""
        self.digest.assign(np.frombuffer(onnx_files.sha256_of(path), np.uint8))
        self._adopt(path)
        for size in sizes_px:
            plan = self.graph.plan(*size)
            self._shapes[size] = plan.feature_shape
            for note in plan.notes:
                print(note, flush=True)

    def call(self, images: tensors.Tensor) -> tensors.Tensor:
        """Returns the features of normalised images."""
        if self.stand_in is not None:
            return self.stand_in(images)
        return _on_host(self.graph.run, images, self._shape_of(images))

    def compute_output_spec(self, images: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the features without computing them."""
        return keras.KerasTensor((images.shape[0], *self._shape_of(images)), dtype="float32")

    @property
    def sizes_px(self) -> list[tuple[int, int]]:
        """(height, width) of the images it was built for."""
        return list(self._shapes)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor; the file is not among them."""
        sizes = [[*size, list(shape)] for size, shape in self._shapes.items()]
        return {**super().get_config(), "layer": self.layer, "arithmetic": self.arithmetic, "sizes": sizes}

    def save_assets(self, folder: str) -> None:
        """Copies the file and its weights into a folder of the .keras file."""
        if self._file is None:
            raise ValueError("the encoder has no ONNX file.")
        onnx_files.copy(self._file, folder)

    def load_assets(self, folder: str) -> None:
        """Reads the file from a folder that is deleted afterwards.

        Raises:
            ValueError: If it is not the one of the network.
        """
        own = tempfile.mkdtemp(prefix="geods_onnx")
        weakref.finalize(self, shutil.rmtree, own, ignore_errors=True)
        path = onnx_files.copy(onnx_files.copied(folder), own)
        if not np.array_equal(np.frombuffer(onnx_files.sha256_of(path), np.uint8), self.digest):
            raise ValueError("its ONNX file is not the one it was saved with.")
        self._adopt(path)

    def _adopt(self, path: pathlib.Path) -> None:
        self._file, self._graph = path, None

    @property
    def graph(self) -> onnx_graph.Graph:
        """The graph of the file, read once."""
        if self._file is None:
            raise errors.BackboneError("an encoder of ONNX has no file.", "load the whole model.keras of a run")
        if self._graph is None:
            providers = tuple(onnx_graph.gpu_providers())
            self._graph = onnx_graph.Graph(self._file, self.layer, self.arithmetic, providers)
        return self._graph

    def _shape_of(self, images: tensors.Tensor) -> tuple[int, ...]:
        height_px, width_px = images.shape[1:3]
        return self._shapes[height_px, width_px]


def _on_host(function: Callable[[np.ndarray], np.ndarray], values: Any, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    """Calls a NumPy function from the graph of Keras' backend."""
    if keras.backend.backend() == "jax":
        import jax

        result = jax.ShapeDtypeStruct((values.shape[0], *shape), np.float32)
        return jax.pure_callback(lambda array: function(np.asarray(array)), result, jax.lax.stop_gradient(values))
    if keras.backend.backend() == "torch":
        return keras.ops.convert_to_tensor(function(keras.ops.convert_to_numpy(values)))
    import tensorflow as tf

    result = tf.stop_gradient(tf.numpy_function(function, [values], tf.float32, stateful=False))
    return tf.ensure_shape(result, (None, *shape))

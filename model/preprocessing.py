"""The preprocessing an encoder was trained with, and the sizes it looks at, as layers inside the graph."""

from typing import Any

import keras

from model import encoders, tensors


@keras.saving.register_keras_serializable(package="geods")
class Preprocessing(keras.layers.Layer):
    """Turns uint8 images into what an encoder expects.

    uint8 `[b, h, w, 3]` (RGB, 0 to 255) -> float32 `[b, h, w, 3]`. It stays float32 under mixed precision: bfloat16
    would keep 8 of the bits after mean and scale have moved the values; the encoder's first layer casts them itself.

    Args:
        encoder: Name in model.encoders, whose preprocess_input is applied.
        kind: "own" for that, "raw" to pass 0 to 255 through, as the report "GeoGuessrAI" did.

    Raises:
        BackboneError: If there is no such encoder.
    """

    def __init__(self, encoder: str, kind: str = "own", **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.encoder = encoder
        self.kind = kind
        self._preprocess = encoders.find(encoder).preprocess

    def call(self, images: tensors.Tensor) -> tensors.Tensor:
        """Returns float32 `[b, h, w, 3]` for images `[b, h, w, 3]`."""
        levels = keras.ops.cast(images, "float32")
        return levels if self.kind == "raw" else self._preprocess(levels)

    def compute_output_shape(self, images_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the images: nothing is cropped or resized."""
        return images_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor takes."""
        return {**super().get_config(), "encoder": self.encoder, "kind": self.kind}


@keras.saving.register_keras_serializable(package="geods")
class Resized(keras.layers.Layer):
    """Images in another size, bilinear and smoothed first where they get smaller.

    `[b, h, w, 3]` -> float32 `[b, height_px, width_px, 3]`, of the same levels.

    Args:
        height_px: Height of the result.
        width_px: Width of the result.
    """

    def __init__(self, height_px: int, width_px: int, **options: object) -> None:
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.height_px, self.width_px = height_px, width_px

    def call(self, images: tensors.Tensor) -> tensors.Tensor:
        """Returns the images in the other size."""
        levels, size = keras.ops.cast(images, "float32"), (self.height_px, self.width_px)
        return keras.ops.image.resize(levels, size, antialias=True, data_format="channels_last")

    def compute_output_spec(self, images: tensors.Tensor) -> keras.KerasTensor:
        """Returns shape and dtype of the result without computing it."""
        return keras.KerasTensor((images.shape[0], self.height_px, self.width_px, 3), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor takes."""
        return {**super().get_config(), "height_px": self.height_px, "width_px": self.width_px}

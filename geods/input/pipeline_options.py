"""How images become batches."""

import dataclasses
from collections.abc import Callable
from typing import Literal

from geods import errors
from geods.input import threaded_decoder


@dataclasses.dataclass(frozen=True)
class PipelineOptions:
    """How images are batched.

    Attributes:
        height_px: Height the images are resized to.
        width_px: Width the images are resized to.
        batch_size: Locations (or views) a batch.
        views: "all": one row a location with all its views; "single": one row a view.
        shuffle: Whether to shuffle before decoding; the bytes wait in the buffer, not the pixels.
        seed: Repeats the order.
        deterministic: Whether batches come in the same order every time; without it, the fastest comes first.
        repeat: Whether to start again at the end, forever.
        drop_remainder: Whether to leave out a last batch that is not full.
        skip: Rows (views or locations) to leave out at the start; they are not decoded.
        service: host:port of a tf.data service whose workers decode, "" to decode here; batches that are not full come
            where a worker is done, and the order is another every time.
        decode: simplejpeg, tensorflow, or auto for the first where it is installed; the workers of a service have
            TensorFlow alone. The pixels are the same.
        exact_pixels: Whether photographs of at least four times the size are decoded whole (geods/input/jpeg_scale.py).
        threads: Threads that decode; 1 is the caller's own, 0 one more than there are cores.
    """

    height_px: int = 300
    width_px: int = 600
    batch_size: int = 64
    views: Literal["single", "all"] = "all"
    shuffle: bool = False
    seed: int = 0
    deterministic: bool = True
    repeat: bool = False
    drop_remainder: bool = False
    skip: int = 0
    service: str = ""
    decode: threaded_decoder.Library = "auto"
    exact_pixels: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If a number is below 1, or `views` is neither "single" nor "all".
        """
        for name in ("height_px", "width_px", "batch_size"):
            if getattr(self, name) < 1:
                raise errors.OptionError(f"{name}={getattr(self, name)}: must be at least 1.", "give a larger number")
        if self.views not in ("single", "all"):
            raise errors.OptionError(f"views={self.views!r}: is not single or all.", "choose one of the two")

    def decoder(self, read: Callable[[bytes], bytes] | None = None) -> threaded_decoder.ThreadedDecoder:
        """Returns the decoder of such batches; `read` as it takes it."""
        size_px = (self.height_px, self.width_px)
        return threaded_decoder.ThreadedDecoder(*size_px, self.decode, self.exact_pixels, read, self.threads)

"""Noise to texture skies, ground and pictures with: square tiles that repeat without a seam."""

import functools

import numpy as np
import numpy.typing as npt

from geods.simulation.scenery import fields

SIZE = 512


@functools.cache
def tile(name: str, smoothness: float) -> npt.NDArray[np.float32]:
    """Returns a tile `[SIZE, SIZE]` of mean 0 and spread 1.

    Args:
        name: Another name is another tile.
        smoothness: Exponent by which the amplitude falls with the frequency; 0 is white noise.
    """
    rng = fields.generator("tile", name)
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * frequency**-smoothness
    values = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return (values / values.std()).astype(np.float32)


def at(name: str, smoothness: float, rows: npt.ArrayLike, columns: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Returns a tile's values at `rows` and `columns` in texels, which may be of one shape, or `[h]` and `[w]`."""
    down, across = (np.floor(np.asarray(texels)).astype(np.int32) & (SIZE - 1) for texels in (rows, columns))
    return tile(name, smoothness)[down[:, None] if down.ndim == 1 else down, across]


@functools.lru_cache(maxsize=8)
def grain(sigma: float, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Returns noise around 128 that is a tile larger than `[height, width]`, to cut pictures' grain from."""
    coarse = np.clip(np.rint(128 + sigma * tile("grain", 0.3)), 0, 255).astype(np.uint8)
    return np.tile(coarse, (height // SIZE + 2, width // SIZE + 2))[: height + SIZE, : width + SIZE]

"""Geography and textures of a simulated world: random fields, noise tiles.

A field is a sum of plane waves through the unit sphere, so it has no seam at 180 degrees and no pole, and nothing is
stored but a few dozen numbers. Waves of 1,500 to 9,000 km distinguish regions, one octave of 300 to 600 km places
within a region. The tiles of noise, for skies, ground and grain, repeat without a seam.
"""

import functools
import hashlib

import numpy as np
import numpy.typing as npt

from geods.geo import geometry

# Side of a noise tile in texels.
SIZE = 512
# Traits of a place, each from 0 to 1. `coldness` follows the latitude, the others are free.
TRAITS = (
    "coldness",
    "moisture",
    "sky",
    "haze",
    "cloud",
    "soil",
    "woodland",
    "conifer",
    "leaf",
    "ridge",
    "settlement",
    "roof",
    "road_width",
    "asphalt",
    "centre_line",
    "poles",
)

_LONG_KM = (1500.0, 9000.0)
_SHORT_KM = (300.0, 600.0)
_LONG_WAVES, _SHORT_WAVES = 7, 3
# Share of the short waves in a field's spread.
_SHORT_SHARE = 0.2
# Latitudes between which coldness rises from 0 to 1: from the tropics to where trees end.
_WARM_DEG, _COLD_DEG = 15.0, 65.0


class Fields:
    """Geography of one world: a smooth random field for each trait.

    Args:
        seed: Another seed is another geography.
    """

    def __init__(self, seed: int) -> None:
        rng = generator(seed, "fields")
        waves = len(TRAITS) * (_LONG_WAVES + _SHORT_WAVES)
        long = np.arange(waves) % (_LONG_WAVES + _SHORT_WAVES) < _LONG_WAVES
        low, high = np.where(long[:, None], np.log(_LONG_KM), np.log(_SHORT_KM)).T
        per_radius = 2 * np.pi * geometry.EARTH_RADIUS_KM / np.exp(rng.uniform(low, high))
        directions = rng.standard_normal((waves, 3))
        self._vectors = directions / np.linalg.norm(directions, axis=1, keepdims=True) * per_radius[:, None]
        self._phases = rng.uniform(0, 2 * np.pi, waves)
        # A sine of random phase has variance 1/2.
        self._weights = np.where(
            long, np.sqrt(2 * (1 - _SHORT_SHARE**2) / _LONG_WAVES), np.sqrt(2 * _SHORT_SHARE**2 / _SHORT_WAVES)
        )

    def at(self, coords: npt.ArrayLike) -> geometry.Array:
        """Returns the traits of coordinates.

        Args:
            coords: `[n, 2]`, (lat, lon) in degrees.

        Returns:
            `[n, len(TRAITS)]`, each from 0 to 1.

        Raises:
            CoordinateError: If a coordinate is out of range.
        """
        checked = geometry.check_coords(coords).reshape(-1, 2)
        waves = self._weights * np.sin(geometry.unit_vectors(checked) @ self._vectors.T + self._phases)
        traits = (1 + np.tanh(0.8 * waves.reshape(len(checked), len(TRAITS), -1).sum(axis=-1))) / 2
        cold = (np.abs(checked[:, 0]) - _WARM_DEG) / (_COLD_DEG - _WARM_DEG)
        # The free part keeps a parallel from being one climate: mountains and seas do as much on Earth.
        traits[:, 0] = np.clip(cold + 0.3 * (traits[:, 0] - 0.5), 0, 1)
        return traits


def generator(*key: object) -> np.random.Generator:
    """Returns a random generator seeded by the words of `key` alone."""
    digest = hashlib.blake2b(" ".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


@functools.cache
def tile(name: str, smoothness: float) -> npt.NDArray[np.float32]:
    """Returns a noise tile `[SIZE, SIZE]` of mean 0 and standard deviation 1.

    Args:
        name: Another name is another tile.
        smoothness: Exponent by which the amplitude falls with the frequency; 0 is white noise.
    """
    rng = generator("tile", name)
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * frequency**-smoothness
    values = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return (values / values.std()).astype(np.float32)


def at(name: str, smoothness: float, rows: npt.ArrayLike, columns: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Returns a tile's values at `rows` and `columns` in texels.

    Both have one shape, or are `[h]` and `[w]`.
    """
    down, across = (np.floor(np.asarray(texels)).astype(np.int32) & (SIZE - 1) for texels in (rows, columns))
    return tile(name, smoothness)[down[:, None] if down.ndim == 1 else down, across]


@functools.lru_cache(maxsize=8)
def grain(sigma: float, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Returns noise around 128, larger than `[height, width]` by one tile."""
    coarse = np.clip(np.rint(128 + sigma * tile("grain", 0.3)), 0, 255).astype(np.uint8)
    return np.tile(coarse, (height // SIZE + 2, width // SIZE + 2))[: height + SIZE, : width + SIZE]

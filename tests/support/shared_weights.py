"""Prints the devices on which a weight lies that was made for two.

python -m tests.support.shared_weights
"""

import keras

from trainers.training import devices


def main() -> None:
    """Makes a layer with one weight."""
    with devices.sharing(2):
        layer = keras.layers.Dense(1, use_bias=False)
        layer.build((None, 1))
        value = layer.kernel.value
    if keras.backend.backend() == "tensorflow":
        print(*sorted(part.device for part in value.values))
    else:
        print(*sorted(f"{part.platform}:{part.id}" for part in value.sharding.device_set))


if __name__ == "__main__":
    main()

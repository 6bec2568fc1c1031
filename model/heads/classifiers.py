"""Classifier heads: the report's, a linear one and a perceptron.

The report heads are Conv2D 3x3 + ReLU, max pooling, dropout 0.25, Dense + ReLU, dropout 0.5, Dense over the cells. On
ResNet50 at 300x600 (features (10, 19, 2048)) and 243 cells they have 75,463 / 1,473,331 / 6,878,707 / 13,357,555
trainable parameters, after which they are named. `report_lstm` is what the report's second solution puts on its LSTM:
Dense + ReLU of 1024, 512, 128 and 64 units, dropout 0.5 after each but the last, Dense over the cells.
"""

import difflib

import keras

from geods import errors
from model import tensors

# (convolution filters, hidden units)
_REPORT_SIZES = {
    "report_75k": (4, 4),
    "report_1m": (64, 128),
    "report_6m": (256, 256),
    "report_13m": (256, 1024),
}
NAMES = (*_REPORT_SIZES, "report_lstm", "linear", "mlp")
_LSTM_HEAD_UNITS = (1024, 512, 128, 64)
_MLP_UNITS = 512
# A 3x3 convolution without padding and 2x2 pooling leave at least one value of this many rows or columns.
_LEAST_SIDE = 4


def build(name: str, feature_shape: tuple[int, ...], cells: int, dropout: float | None = None) -> keras.Model:
    """Builds a head by its name.

    Args:
        name: One of NAMES. `linear`, `mlp` and `report_lstm` average-pool a feature map first.
        feature_shape: Shape of one view's features: (h, w, c), or (c,) if they were pooled.
        cells: Number of cells to choose from.
        dropout: Share of values dropped before the last layer, in [0, 1), in `report_lstm` after each hidden layer but
            the last; None for the head's own (0.5; linear 0).

    Returns:
        keras.Model: features `[b, *feature_shape]` -> logits `[b, cells]`, float32 under every precision policy.

    Raises:
        OptionError: If there is no such head, or it cannot take these features.
    """
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=2)
        raise errors.OptionError(f"{name!r} is not a head.", f"choose one of {', '.join(close or NAMES)}")
    if len(feature_shape) not in (1, 3) or min(feature_shape) < 1:
        problem = f"a head cannot take features of shape {tuple(feature_shape)}; it needs (h, w, c) or (c,)."
        raise errors.OptionError(problem, "extract another layer of the backbone")
    if cells < 1:
        raise errors.OptionError(
            f"a head over {cells} cells has nothing to choose from.", "give a partition with cells"
        )
    if dropout is not None and not 0 <= dropout < 1:
        raise errors.OptionError(f"dropout is {dropout}.", "give a share of at least 0 and below 1")
    features = keras.Input(feature_shape, name="features")
    if name in _REPORT_SIZES:
        hidden = _report(name, features, 0.5 if dropout is None else dropout)
    else:
        hidden = _pooled(name, features, dropout)
    # A softmax over logits of 8 or 11 bits would tie cells that are far apart on the map.
    logits = keras.layers.Dense(cells, dtype="float32", name="logits")(hidden)
    return keras.Model(features, logits, name=name)


def _report(name: str, features: tensors.Tensor, dropout: float) -> tensors.Tensor:
    """Returns `[b, hidden]`: the report's layers on a map `[b, h, w, c]`."""
    if len(features.shape) != 4 or min(features.shape[1:3]) < _LEAST_SIDE:
        problem = f"{name} needs a feature map of at least 4x4, but the features are {tuple(features.shape[1:])}."
        raise errors.OptionError(problem, "extract with --pooling=none and larger images, or choose linear or mlp")
    filters, units = _REPORT_SIZES[name]
    hidden = keras.layers.Conv2D(filters, 3, activation="relu")(features)
    hidden = keras.layers.MaxPooling2D()(hidden)
    hidden = keras.layers.Dropout(0.25)(hidden)
    hidden = keras.layers.Flatten()(hidden)
    hidden = keras.layers.Dense(units, activation="relu")(hidden)
    return keras.layers.Dropout(dropout)(hidden)


def _pooled(name: str, features: tensors.Tensor, dropout: float | None) -> tensors.Tensor:
    """Returns `[b, hidden]`: the other heads' layers on features `[b, ..., c]`."""
    hidden = features
    if len(features.shape) == 4:
        hidden = keras.layers.GlobalAveragePooling2D(dtype="float32")(hidden)
    if name == "mlp":
        hidden = keras.layers.LayerNormalization(epsilon=1e-6)(hidden)
        hidden = keras.layers.Dense(_MLP_UNITS, activation="relu")(hidden)
        hidden = keras.layers.Dropout(0.5 if dropout is None else dropout)(hidden)
    elif name == "report_lstm":
        for units in _LSTM_HEAD_UNITS[:-1]:
            hidden = keras.layers.Dense(units, activation="relu")(hidden)
            hidden = keras.layers.Dropout(0.5 if dropout is None else dropout)(hidden)
        hidden = keras.layers.Dense(_LSTM_HEAD_UNITS[-1], activation="relu")(hidden)
    elif dropout:
        hidden = keras.layers.Dropout(dropout)(hidden)
    return hidden

"""Fusion of views to one prediction, by name.

    mean       the mean of the views' probabilities
    mean_log   the mean of their log-probabilities
    attention  a mean of their log-probabilities, weighted by a function of their features
    lstm       an LSTM over their features in order of heading; the head takes its last state

The first three put the head on every view, the last on the location.
"""

import difflib

import keras

from geods import errors
from model import tensors
from model.fusion import attention, lstm, views

NAMES = ("mean", "mean_log", "attention", "lstm")
_LSTM_UNITS = 64


def head_shape(name: str, feature_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the input shape of a head.

    It is the shape of one view's features, or the state of the LSTM.

    Raises:
        OptionError: If there is no such fusion.
    """
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=2)
        raise errors.OptionError(f"{name!r} is not a way to fuse views.", f"choose one of {', '.join(close or NAMES)}")
    return (_LSTM_UNITS,) if name == "lstm" else tuple(feature_shape)


def fuse(name: str, head: keras.Model, features: tensors.Tensor, view_mask: tensors.Tensor) -> tensors.Tensor:
    """Applies a head and fuses the views.

    Args:
        name: One of NAMES.
        head: keras.Model `[n, *head_shape]` -> logits `[n, cells]`.
        features: Symbolic `[b, v, *feature_shape]`.
        view_mask: Symbolic bool `[b, v]`.

    Returns:
        Symbolic log-probabilities float32 `[b, cells]`.

    Raises:
        OptionError: If there is no such fusion, or the head was made for other features.
    """
    expected, given = head_shape(name, features.shape[2:]), tuple(head.input_shape[1:])
    if given != expected:
        problem = f"with --fusion={name} a head takes features of shape {expected}, but this one is for {given}."
        raise errors.OptionError(problem, "build it with the shape that model.fusion.fusion.head_shape returns")
    if name == "lstm":
        memory = lstm.LstmOverViews(_LSTM_UNITS, name="lstm_over_views")(features, view_mask)
        return lstm.LogProbabilities(name="log_probabilities")(head(memory), view_mask)
    logits = views.PerView(head, name="head")(features)
    if name == "attention":
        return attention.AttentionOverViews(name="attention_over_views")(logits, features, view_mask)
    if name == "mean_log":
        return views.MeanOfLogProbabilities(name="mean_of_log_probabilities")(logits, view_mask)
    return views.MeanOfProbabilities(name="mean_of_probabilities")(logits, view_mask)

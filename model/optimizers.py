"""AdamW with layer-wise learning rates."""

from collections.abc import Sequence
from typing import Any

import keras

from geods import errors
from model import tensors


@keras.saving.register_keras_serializable(package="geods")
class PacedAdamW(keras.optimizers.AdamW):
    """AdamW with a smaller learning rate and no decay for some weights.

    Blocks that were trained on millions of images need smaller steps than a new head, and decay would pull them to 0
    instead of towards their pretrained values.

    Args:
        learning_rate: Number or schedule, for all other weights.
        weight_decay: Of the other weights; 0 for none.
        slow: Paths of the slow weights (`variable.path`).
        factor: Factor of their learning rate.

    Raises:
        OptionError: If the factor is not above 0.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,  # noqa: ANN401 - a number or a schedule
        weight_decay: float = 0.0,
        slow: Sequence[str] = (),
        factor: float = 0.1,
        **options: Any,  # noqa: ANN401 - those of every Adam
    ) -> None:
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **options)
        if not 0 < factor < float("inf"):
            raise errors.OptionError(f"a learning rate multiplied by {factor}.", "give a positive factor")
        self.slow, self.factor = list(slow), factor
        self._slow_indices: set[int] = set()

    def build(self, variables: list[Any]) -> None:
        """Finds the slow weights among those to train."""
        if not self.built:
            names = set(self.slow)
            chosen = [variable for variable in variables if variable.path in names]
            if chosen:
                self.exclude_from_weight_decay(var_list=chosen)
        super().build(variables)
        self._slow_indices = {n for n, variable in enumerate(variables) if variable.path in set(self.slow)}

    def update_step(self, gradient: tensors.Tensor, variable: Any, learning_rate: tensors.Tensor) -> None:  # noqa: ANN401
        """Updates one weight."""
        slow = self._get_variable_index(variable) in self._slow_indices
        super().update_step(gradient, variable, learning_rate * self.factor if slow else learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "slow": self.slow, "factor": self.factor}

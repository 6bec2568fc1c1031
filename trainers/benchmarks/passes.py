"""What all loaders have in common: a pass over all images, in batches of 64 with their labels."""

from collections.abc import Iterator
from typing import Any

from trainers.benchmarks import checks

BATCH = 64


class Pass:
    """A pass over images. A child sets `_batches`, something to iterate over, or gives `batches`."""

    _batches: Any

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yields (images, labels)."""
        yield from self._batches

    def run(self) -> int:
        """Reads everything once; returns the number of images that had a label."""
        return sum(min(len(images), len(labels)) for images, labels in self.batches())

    def facts(self) -> dict[str, Any]:
        """Returns what `checks` wants to know of all images."""
        return checks.describe(self.batches())

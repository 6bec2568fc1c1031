"""TensorBoard's projector: features of locations, coloured by cell."""

import pathlib
from typing import Any

import numpy as np

from geods.geo import partition
from geods.storage import files
from trainers.runs import run_folder

# 600 kB as text; the browser itself projects what has more directions before it draws them.
_LOCATIONS, _DIRECTIONS = 1000, 64
# Tensors as text: TensorBoard 2.21 reads any file as text first, and as binary only if its bytes are no UTF-8.
_TENSORS, _METADATA = "features.tsv", "locations.tsv"
_CONFIG = """embeddings {{
  tensor_name: "features of locations"
  tensor_path: "{tensors}"
  metadata_path: "{metadata}"
}}
"""


def write(folder: pathlib.Path, batches: Any, cells: partition.Partition) -> None:  # noqa: ANN401 - inputs of a split
    """Writes the features of at most 1,000 locations of a split, if it has any.

    Those of all views of an example are averaged, also over a feature map, and projected on 64 random directions, which
    changes their distances by 9 % or so (Johnson and Lindenstrauss 1984); the browser finds the principal components.
    """
    found = _features(batches)
    if found is None:
        return
    features, truth = found
    projected = _projected(features)
    tensors, metadata = (folder / run_folder.PROJECTOR / name for name in (_TENSORS, _METADATA))
    files.write_text(tensors, "".join("\t".join(f"{value:.5g}" for value in row) + "\n" for row in projected))
    lines = ["location\tcell\tlat_deg\tlon_deg"]
    for lat_deg, lon_deg, cell in truth[:, :3].tolist():
        name = " ".join(cells.names[int(cell)].split()) if cells.names and cell >= 0 else int(cell)
        lines.append(f"{lat_deg:.5f},{lon_deg:.5f}\t{name}\t{lat_deg:.5f}\t{lon_deg:.5f}")
    files.write_text(metadata, "\n".join(lines) + "\n")
    names = {"tensors": tensors.relative_to(folder), "metadata": metadata.relative_to(folder)}
    files.write_text(folder / run_folder.PROJECTOR_CONFIG, _CONFIG.format(**names))


def _features(batches: Any) -> tuple[np.ndarray, np.ndarray] | None:  # noqa: ANN401 - as above
    """Returns features `[n, d]` and truth `[n, 3]` of a split; None of images.

    They are of batches spread over it.
    """
    if getattr(batches, "holds_images", not hasattr(batches, "__getitem__")) or "features" not in batches[0][0]:
        return None
    count = min(len(batches), -(-_LOCATIONS // len(batches[0][1])))
    parts, truths = [], []
    for number in np.linspace(0, len(batches) - 1, count).astype(int).tolist():
        values, truth = batches[number][:2]
        mask, views = values["view_mask"].astype(bool), values["features"].astype(np.float32)
        of_views = views.mean(axis=tuple(range(2, views.ndim - 1))) if views.ndim > 3 else views
        parts.append((of_views * mask[..., None]).sum(1) / np.maximum(mask.sum(1, keepdims=True), 1))
        truths.append(truth)
    return np.concatenate(parts)[:_LOCATIONS], np.concatenate(truths)[:_LOCATIONS]


def _projected(features: np.ndarray) -> np.ndarray:
    """Returns features `[n, d]` in at most 64 random directions, `[n, min(d, 64)]`."""
    size = features.shape[1]
    if size <= _DIRECTIONS:
        return features
    directions = np.random.default_rng(0).standard_normal((size, _DIRECTIONS)) / _DIRECTIONS**0.5
    projected: np.ndarray = (features - features.mean(axis=0)) @ directions
    return projected

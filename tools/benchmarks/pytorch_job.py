"""The job of tools.benchmark_job as a PyTorch user writes it.

MobileNetV2 of torchvision over a DataLoader, then kernel ridge of scikit-learn on its pooled features. It needs torch,
torchvision and scikit-learn, and nothing of geods, so that it runs in an environment of its own:

    PYTHON tools/benchmarks/pytorch_job.py ARGUMENTS.json

ARGUMENTS.json holds image files and (lat, lon) of training and test views, and their size. Prints a line of JSON:
seconds of extraction and of the head, and the mean distance on the test views in miles. The weights are random, which
changes the distance and not the time.
"""

import json
import pathlib
import sys
import time
from typing import Any

import numpy as np

_BATCH = 32
_WORKERS = 2
_ALPHAS = (1e-2, 1e-1, 1.0)
_GAMMAS = (0.5, 1.0, 2.0)
_EARTH_RADIUS_MILES = 3958.8


def main(path: str) -> None:
    """Extracts, fits, predicts and prints."""
    arguments = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    started_s = time.perf_counter()
    size = (arguments["height_px"], arguments["width_px"])
    train, test = (_features(arguments[f"{split}_images"], size) for split in ("train", "test"))
    extracted_s = time.perf_counter()
    truth = np.radians(arguments["test_coords"])
    guess = _kernel_ridge(train, _unit(np.radians(arguments["train_coords"])), test)
    miles = _EARTH_RADIUS_MILES * np.arccos(np.clip((guess * _unit(truth)).sum(1), -1, 1))
    found = {"extract_s": extracted_s - started_s, "head_s": time.perf_counter() - extracted_s}
    print(json.dumps(found | {"mean_miles": float(miles.mean())}))


def _features(paths: list[str], size: tuple[int, int]) -> np.ndarray:
    """Returns pooled features `[n, 1280]` float32 of resized image files."""
    import torch
    import torchvision

    encoder = torchvision.models.mobilenet_v2(weights=None).features.eval()
    batches = torch.utils.data.DataLoader(_Images(paths, size), batch_size=_BATCH, num_workers=_WORKERS)
    with torch.inference_mode():
        return torch.cat([encoder(batch).mean((2, 3)) for batch in batches]).numpy()


class _Images:
    """Image files as normalized tensors `[3, h, w]`, as torchvision makes them."""

    def __init__(self, paths: list[str], size: tuple[int, int]) -> None:
        import torchvision

        steps = torchvision.transforms
        normalize = steps.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        self._paths, self._transform = paths, steps.Compose([steps.Resize(size), steps.ToTensor(), normalize])

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401 - a tensor
        from PIL import Image

        with Image.open(self._paths[number]) as image:
            return self._transform(image.convert("RGB"))


def _kernel_ridge(train: np.ndarray, targets: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Returns predicted unit vectors `[n, 3]` by the best of a grid search."""
    from sklearn import kernel_ridge, model_selection, pipeline, preprocessing

    width = 1 / train.shape[1]
    grid = {"kernelridge__alpha": _ALPHAS, "kernelridge__gamma": [width * gamma for gamma in _GAMMAS]}
    ridge = pipeline.make_pipeline(preprocessing.StandardScaler(), kernel_ridge.KernelRidge(kernel="rbf"))
    mean = targets.mean(0)
    found = mean + model_selection.GridSearchCV(ridge, grid, cv=5).fit(train, targets - mean).predict(test)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _unit(coords: np.ndarray) -> np.ndarray:
    """Returns unit vectors `[n, 3]` of (lat, lon) `[n, 2]` in radians."""
    lat, lon = coords[:, 0], coords[:, 1]
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)


if __name__ == "__main__":
    main(sys.argv[1])

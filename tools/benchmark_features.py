"""Measures a frozen encoder's rate against the machine's matrix products.

    python -m tools.benchmark_features --images=tree --work_dir=benchmark --backbone=resnet50 --backbone_weights=random

Runs the encoder over one batch of images in memory, by each runtime that trainers.extract offers and as Keras' predict
and a plain tf.function do, between bursts of TensorFlow's float32 matrix product. Prints images a second, the share of
the float32 and bfloat16 products measured in the same run, how many times as fast as the tf.function in float32 each
is, and the least cosine of an image's features to that one's. Appends a line of JSON each to WORK_DIR/features.jsonl.
Without --images it draws a simulated tree.
"""

import dataclasses
import importlib.util
import pathlib
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from geods import errors
from geods.cli import flags, program
from tools.benchmarks import harness, results, trees

if TYPE_CHECKING:
    import numpy as np


_ENCODERS, _PRODUCT = "tools.benchmarks.contenders_features", "tools.benchmarks.worker:MatrixProduct"
PLAIN = "tf.function float32"
_PRODUCT_BF16 = "matrix product bfloat16"
# Below these, features are not those that were asked for: 8 bits of mantissa give 0.99, 8 bits in all 0.97.
_LEAST_COSINE, _LEAST_COSINE_INT8 = 0.98, 0.95


@dataclasses.dataclass(frozen=True)
class Options(trees.EncoderImageOptions):
    """Encoder, runtimes and images to measure."""

    pooling: Literal["none", "avg", "max"] = flags.option("none", "How to pool the feature map; none keeps it.")
    batch_size: int = flags.option(16, "Images a batch.")
    batches: int = flags.option(1, "Batches a reading.")
    only: tuple[str, ...] = flags.option((), "Names of the runtimes to measure, as in the table; all if empty.")

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If one is below 1.
        """
        super().__post_init__()
        flags.check_at_least(self, 1, ("batch_size", "batches"))


def main(settings: Options) -> None:
    """Measures and prints."""
    import numpy as np

    work = pathlib.Path(settings.work_dir)
    folder = work / "features"
    folder.mkdir(parents=True, exist_ok=True)
    batch = trees.pixels(settings.tree(), settings.batch_size, *settings.size_px)
    np.save(folder / "images.npy", batch, allow_pickle=False)
    everyone = contenders(settings, folder)
    chosen = results.chosen(everyone, settings.only and (PLAIN, *settings.only))
    features: dict[str, np.ndarray] = {}
    peak = harness.Contender("peak", _PRODUCT, {})
    measured = harness.measure(peak, chosen, settings.rounds, checker(features))
    _report(measured, features, settings, work)


def checker(features: dict[str, "np.ndarray"]) -> Callable[[harness.Contender, dict[str, Any]], None]:
    """Returns a check for the harness: features agree with those of the first.

    It keeps the features of each contender.
    """
    import numpy as np

    def check(contender: harness.Contender, facts: dict[str, Any]) -> None:
        if "features" not in facts:
            return
        features[contender.name] = np.load(facts["features"], allow_pickle=False)
        least = cosine(features[contender.name], features[PLAIN])
        wanted = _LEAST_COSINE_INT8 if contender.arguments.get("precision") == "int8" else _LEAST_COSINE
        if not least >= wanted:
            problem = f"{contender.name}: the cosine of its features to those of {PLAIN} is {least:.4f}."
            raise errors.BenchmarkError(problem, "its figure would be wrong; leave it out, or fix it")

    return check


def contenders(settings: Options, folder: pathlib.Path) -> list[harness.Contender]:
    """Returns all contenders that can run here; the first is the reference."""
    spec = {
        "name": settings.backbone,
        "weights": settings.backbone_weights,
        "pooling": settings.pooling,
        "height_px": settings.height_px,
        "width_px": settings.width_px,
    }

    def one(name: str, kind: str, precision: str, **more: str) -> harness.Contender:
        target = str(folder / f"{name.replace(' ', '_')}.npy")
        arguments: dict[str, Any] = {
            "spec": spec,
            "images": str(folder / "images.npy"),
            "features": target,
            "precision": precision,
        }
        arguments |= {"batches": settings.batches, **more}
        return harness.Contender(name, f"{_ENCODERS}:{kind}", arguments, settings.batches * settings.batch_size)

    bf16 = "mixed_bfloat16"
    found = [
        one(PLAIN, "TensorFlowFunction", "float32"),
        one("keras predict float32", "KerasPredict", "float32"),
        one("geods tensorflow float32", "Ours", "float32", runtime="tensorflow"),
        one("geods tensorflow bfloat16", "Ours", bf16, runtime="tensorflow"),
    ]
    if importlib.util.find_spec("openvino"):
        found += [
            one("geods openvino float32", "Ours", "float32", runtime="openvino"),
            one("geods openvino bfloat16", "Ours", bf16, runtime="openvino"),
        ]
        if importlib.util.find_spec("nncf"):
            found.append(one("geods openvino int8", "Ours", "int8", runtime="openvino"))
    product = harness.Contender(_PRODUCT_BF16, _PRODUCT, {"dtype": "bfloat16"})
    return [*found, product]


def cosine(found: "np.ndarray", expected: "np.ndarray") -> float:
    """Returns the least cosine between an image's features `[n, ...]` and the truth."""
    import numpy as np

    left, right = (values.reshape(len(values), -1).astype(np.float64) for values in (found, expected))
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(((left * right).sum(axis=1) / lengths).min())


def _report(
    measured: list[harness.Result], features: dict[str, "np.ndarray"], settings: Options, work: pathlib.Path
) -> None:
    """Prints the table and writes the lines."""
    product = next((one for one in measured if one.contender.name == _PRODUCT_BF16), None)
    faster = statistics.median(product.ratios) if product and product.ratios else None

    def describe(result: harness.Result) -> tuple[list[str], dict[str, Any]]:
        # The reference counts in 10^9 operations, so a ratio is images per 10^9 operations of the float32 product.
        gflop, name = result.facts.get("gflop", 1.0), result.contender.name
        of_bf16 = [ratio * gflop / faster for ratio in result.ratios] if faster else []
        similar = cosine(features[name], features[PLAIN]) if name in features else None
        cells = [
            results.rate(result, 1) if name in features else "",
            results.shares(result, gflop),
            f"{statistics.median(of_bf16):.3f}" if of_bf16 else "",
            results.against(result, measured[0]) if name in features else "",
            "" if similar is None else f"{similar:.6f}",
        ]
        return cells, {"encoder": settings.backbone, "gflop": gflop, "cosine": similar}

    size = f"{settings.height_px}x{settings.width_px}, {settings.batch_size} images a batch"
    gflop = measured[0].facts["gflop"]
    print(f"{settings.backbone} ({settings.backbone_weights}) at {size}, {gflop:.2f} GFLOP an image")
    columns = ["runtime", "images/s", "share of f32 product", "of bf16 product", f"times {PLAIN}", "least cosine"]
    results.report("features", work, measured, columns, describe)


if __name__ == "__main__":
    program.run(Options, main)

"""Measures the whole job, from images to error, beside the same in PyTorch.

    python -m tools.benchmark_pytorch --images=tree --backbone_weights=WEIGHTS.h5 --python=PYTHON --rounds=5

PYTHON is that of an environment with torch, torchvision and scikit-learn. Ours: tools.build_dataset, trainers.extract,
train of a recipe on pooled features, evaluate, each a process of its own with its defaults. Theirs, in one process:
MobileNetV2 over a DataLoader, then kernel ridge with a grid search (tools/benchmarks/pytorch_job.py). Both pool the
features of the same views, at the same size, and hold out the same ones; they take turns. Prints seconds of both, by
the clock and of the processor, and how many times as fast ours is, and appends a line of JSON to
WORK_DIR/pytorch.jsonl.
"""

import dataclasses
import json
import pathlib
from typing import Any

from geods import errors
from geods.cli import flags, program
from geods.storage import files
from tools.benchmarks import contenders_job, results, stages, trees

# Of features/pooled.cfg.
_HEIGHT_PX, _WIDTH_PX = 200, 400
_PEER = pathlib.Path(__file__).parent / "benchmarks" / "pytorch_job.py"


@dataclasses.dataclass(frozen=True)
class Options(trees.ImageOptions):
    """Images to measure on, weights of ours, and the Python of PyTorch."""

    python: str = flags.option("", "Python of an environment with torch, torchvision and scikit-learn.", path="local")
    backbone_weights: str = flags.option("random", "Weights of our MobileNetV2: random, or a file.", path="in")
    recipe: str = flags.option("mlp", "Our recipe, one of trainers/recipes on pooled features.")
    locations: int = flags.option(0, "Locations spread over the tree, images resized to 200x400; 0 for all.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If there is no Python of PyTorch, or a number is below 1.
        """
        super().__post_init__()
        flags.check_at_least(self, 0, ("locations",))
        if not self.python:
            problem = "--python: is empty; the Python of an environment with torch is needed."
            step = "python3 -m venv peer && peer/bin/pip install torch torchvision scikit-learn"
            raise errors.OptionError(problem, step)


def main(settings: Options) -> None:
    """Measures and prints."""
    root, work = settings.tree(), pathlib.Path(settings.work_dir) / "pytorch"
    if settings.locations:
        root = trees.resized(root, work / f"tree{settings.locations}", _HEIGHT_PX, _WIDTH_PX, settings.locations)
    ours, theirs, processor, miles = [], [], [], 0.0
    for number in range(settings.rounds):
        ours_s, ours_processor_s = _ours(root, work, settings)
        ours.append(ours_s)
        if number == 0:
            files.write_json(work / "views.json", _views(root, work))
        words = (str(_PEER), str(work / "views.json"))
        other = stages.run("pytorch", words, work / "pytorch.log", settings.python)
        theirs.append(other.seconds)
        processor.append((ours_processor_s, other.processor_s))
        found = json.loads((work / "pytorch.log").read_text(encoding="utf-8").strip().splitlines()[-1])
        miles = found["mean_miles"]
        print(f"geods {ours[-1]:,.1f} s, PyTorch {theirs[-1]:,.1f} s: {found}", flush=True)
        print(f"of the processor {ours_processor_s:,.1f} s and {other.processor_s:,.1f} s", flush=True)
    times = [their / our for their, our in zip(theirs, ours, strict=True)]
    error = contenders_job.error_miles(work)[0]
    by_processor = [their / our for our, their in processor]
    faster = [results.spread(times, 2), results.spread(by_processor, 2)]
    rows = [
        ["geods", results.spread(ours, 1), *faster, f"{error:,.1f}"],
        ["PyTorch and scikit-learn", results.spread(theirs, 1), "", "", f"{miles:,.1f} (random weights)"],
    ]
    columns = ["job", "seconds", "geods is times as fast", "by processor time", "held-out mean miles"]
    print(results.table(columns, rows))
    line = {"benchmark": "pytorch", "recipe": settings.recipe, "seconds": ours, "pytorch_s": theirs, "times": times}
    results.append(pathlib.Path(settings.work_dir) / "pytorch.jsonl", [line | {"processor_s": processor}])


def _ours(root: pathlib.Path, work: pathlib.Path, settings: Options) -> tuple[float, float]:
    """Returns the seconds of our job, by the clock and of the processor."""
    data = [f"--data_dir={work / 'data'}", f"--config={contenders_job.CONFIG}"]
    words = ["-m", "trainers.extract", f"--flagfile={program.recipe_path('features/pooled')}", *data]
    words += [f"--backbone_weights={settings.backbone_weights}", f"--cache_dir={work / 'cache'}", "--overwrite"]
    done = [
        contenders_job.build(root, work),
        stages.run("extract", words, work / "extract.log"),
        contenders_job.train(work, settings.recipe),
        contenders_job.evaluate(work),
    ]
    print(", ".join(f"{one.name} {one.seconds:,.1f} s" for one in done), flush=True)
    return sum(one.seconds for one in done), sum(one.processor_s for one in done)


def _views(root: pathlib.Path, work: pathlib.Path) -> dict[str, Any]:
    """Returns the views of our training and test splits for the other job."""
    program.import_quietly("tensorflow")
    from geods.dataset import dataset_reader
    from geods.tree import imagery_tree

    builder = dataset_reader.open_builder(work / "data", contenders_job.CONFIG)
    paths = {place.location_id: [str(view.path) for view in place.views] for place in imagery_tree.read(root)}
    found: dict[str, Any] = {"height_px": _HEIGHT_PX, "width_px": _WIDTH_PX}
    for split in ("train", "test"):
        index = dataset_reader.index(builder, split)
        pairs = zip(index.location_ids.tolist(), index.coords.tolist(), strict=True)
        rows = [(path, coords) for name, coords in pairs for path in paths[name]]
        found |= {f"{split}_images": [path for path, _ in rows], f"{split}_coords": [coords for _, coords in rows]}
    return found


if __name__ == "__main__":
    program.run(Options, main)

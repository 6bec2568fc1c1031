"""Measures a run on locations it has never seen, beside the best constant and a random guess.

    python -m trainers.evaluate --run_dir=runs/mlp
    python -m trainers.evaluate --run_dir=runs/mlp --imagery=tree --out=runs/mlp/on_tree

The first uses the test split, from the run's feature cache if that has it (seconds) or else from the images. The
second runs the whole network on any imagery tree (about 30 images/s for MobileNetV2 at 200x400 on 2 cores). Prints a
table; writes metrics.json, predictions.csv (a line a location) and probabilities.npy (float16, a row a line) to the run
folder or --out.
"""

import pathlib

from geods import cli
from trainers import options


def main(settings: options.EvaluateOptions) -> None:
    """Evaluates one run."""
    from trainers import early

    early.of_evaluate(settings)
    cli.import_quietly("tensorflow")
    from trainers import evaluation, runs, scoring

    out = pathlib.Path(settings.out or settings.run_dir)
    with runs.claim(out):
        metrics = evaluation.evaluate(settings, out)
    print(scoring.table(metrics))
    print(f"wrote {out / runs.METRICS}, {runs.PREDICTIONS} and {runs.PROBABILITIES}")
    where = f" --predictions={out}" if settings.out else ""
    print(f"next: python -m tools.render --run_dir={settings.run_dir}{where}")


if __name__ == "__main__":
    cli.run(options.EvaluateOptions, main)

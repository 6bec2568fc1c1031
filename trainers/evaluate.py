"""Evaluates a run on unseen locations, beside a constant and a random guess.

    python -m trainers.evaluate --run_dir=runs/mlp
    python -m trainers.evaluate --run_dir=runs/mlp --imagery=tree --out=runs/mlp/on_tree
    python -m trainers.evaluate --run_dir=runs/report_6m --checkpoint=chunk_003 --out=runs/report_6m/chunk_003

The first uses the test split, from the run's feature cache if that has it (seconds) or else from the images. The
second runs the whole network on any imagery tree (about 30 images/s for MobileNetV2 at 200x400 on 2 cores). The third
measures the model after one chunk of --schedule=chunked. With --views=single, the default of runs on --config=report,
every image is a row of its own. Prints a table; writes metrics.json, predictions.csv and probabilities.npy
(float32 `[rows, cells]`) to the run folder or --out.
"""

from geods.cli import program
from trainers.options import evaluate_options


def main(settings: evaluate_options.EvaluateOptions) -> None:
    """Evaluates one run."""
    from trainers.runs import preflight

    preflight.check_evaluate(settings)
    program.import_quietly("tensorflow")
    from trainers.evaluation import evaluation

    evaluation.report(settings)


if __name__ == "__main__":
    program.run(evaluate_options.EvaluateOptions, main)

"""One fold of `trainers.cross_validate`, trained and evaluated.

    python -m trainers.evaluation.fold --flagfile=trainers/recipes/linear.cfg --cache_dir=cache --folds=5 --run_dir=f0

Takes the flags of trainers.train and does the work of that and trainers.evaluate in one process: loading TensorFlow and
Keras a second time takes longer than evaluating, 8 s on 2 slow cores. Prints the lines of both.
"""

from geods.cli import flags, program
from trainers.options import evaluate_options, train_options


def main(settings: train_options.TrainOptions) -> None:
    """Trains, then evaluates on the part that was held out."""
    from trainers.runs import preflight

    # It is evaluated here, and then only its predictions are read.
    settings = flags.replace(settings, serving_graph=False)
    preflight.check_train(settings)
    program.import_quietly("tensorflow")
    import keras

    from trainers.evaluation import evaluation
    from trainers.training import run

    with run.in_run_folder(settings.run):
        run.Training(settings).train()
    # Nothing of the training may reach what is measured.
    keras.backend.clear_session()
    keras.mixed_precision.set_dtype_policy("float32")
    evaluation.report(evaluate_options.EvaluateOptions(run_dir=settings.run.run_dir))


if __name__ == "__main__":
    program.run(train_options.TrainOptions, main)

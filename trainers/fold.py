"""Trains and evaluates one fold of a cross-validation, for `trainers.cross_validate`.

    python -m trainers.fold --flagfile=trainers/recipes/linear.cfg --cache_dir=cache --folds=5 --run_dir=runs/fold0

Takes the flags of trainers.train and does what that and trainers.evaluate do, in one process: loading TensorFlow and
Keras a second time takes longer than evaluating, 8 s on 2 slow cores. Prints what they print.
"""

from geods import cli
from trainers import options


def main(settings: options.TrainOptions) -> None:
    """Trains, then evaluates on what was held out."""
    from trainers import evaluate, train

    train.main(settings)

    import keras

    # Nothing of the training may reach what is measured.
    keras.backend.clear_session()
    keras.mixed_precision.set_dtype_policy("float32")
    evaluate.main(options.EvaluateOptions(run_dir=settings.run_dir))


if __name__ == "__main__":
    cli.run(options.TrainOptions, main)

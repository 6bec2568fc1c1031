"""Cross-validates a recipe.

    python -m trainers.cross_validate --flagfile=trainers/recipes/mlp.cfg --cache_dir=cache --run_dir=runs/cv

Takes the flags of trainers.train, and trains as often as there are --folds (5 if not given), each in a process of its
own: five times what one training costs. Prints a line a fold, then the table of trainers.evaluate over all locations;
writes RUN/fold0 and so on, and metrics.json, predictions.csv and probabilities.npy of all to RUN. Folds that are
finished are not done again, so a run that was cut off resumes with the same command; --overwrite starts again.
"""

from geods.cli import flags, program
from trainers.options import train_options


def main(settings: train_options.TrainOptions) -> None:
    """Trains and evaluates all folds, and joins their predictions."""
    from trainers.evaluation import cross_validation
    from trainers.features import named_features

    settings = flags.replace(settings, cache_dir=named_features.find(settings.data))
    cross_validation.cross_validate(settings)


if __name__ == "__main__":
    program.run(train_options.TrainOptions, main)

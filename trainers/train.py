"""Trains a head on cached features, or the whole network end to end from images.

    python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --data_dir=data --cache_dir=cache --run_dir=runs/mlp
    python -m trainers.train --flagfile=trainers/recipes/mlp.cfg --pooling=avg --imagery=TREE --follow

On the pooled features of 800 locations this takes about 30 s on 2 cores. Prints a line an epoch with the loss, the
validation split's mean miles, and the time left; writes the run folder (trainers/runs/run_folder.py says what is in
it). Watch it with tensorboard --logdir=runs. Without --cache_dir the images go through the encoder in every epoch.
Stop it at any time: the same command resumes after the last epoch, or a few seconds before it where epochs are short;
with --deterministic it ends with the same weights, to the last bit.

With --imagery the images come from an imagery tree and go through the encoder once; with --follow from one that a
scraper is filling, until the scraper has finished.
"""

from geods.cli import flags, program
from trainers.options import train_options


def main(settings: train_options.TrainOptions) -> None:
    """Trains and saves one run."""
    from trainers.features import named_features
    from trainers.runs import preflight

    settings = flags.replace(settings, cache_dir=named_features.find(settings.data))
    preflight.check_train(settings)
    program.import_quietly("tensorflow")
    from trainers.streaming import follow
    from trainers.training import run

    training = follow.Follower if settings.streaming.imagery else run.Training
    with run.in_run_folder(settings.run):
        training(settings).train()


if __name__ == "__main__":
    program.run(train_options.TrainOptions, main)

"""Options of small trainings on the trees of scraped_tree.py."""

import road
import scraped_tree

from geods.cli import flags as cli_flags
from trainers.options import train_options

HEIGHT_PX, WIDTH_PX = scraped_tree.SIZE_PX
FLAGS = {
    **road.ENCODER_FIELDS,
    "height_px": HEIGHT_PX,
    "width_px": WIDTH_PX,
    "head": "linear",
    "epochs": 4,
    "learning_rate": 0.1,
    "follow_min_locations": 20,
    "follow_poll_s": 0.3,
    "batch_size": 16,
}


def settings_of(tree_dir, run_dir, **changes):
    return cli_flags.build(train_options.TrainOptions, imagery=str(tree_dir), run_dir=str(run_dir), **(FLAGS | changes))

"""Values that no training, extraction or evaluation could mean."""

import pytest

from geods import errors
from trainers import options


@pytest.mark.parametrize(
    ("options_class", "wrong", "message"),
    [
        (options.ExtractOptions, {"batch_size": 0}, "--batch_size=0: must be at least 1"),
        (options.ExtractOptions, {"block_rows": 0}, "--block_rows=0"),
        (options.ExtractOptions, {"splits": ()}, "--splits is empty"),
        (options.TrainOptions, {"epochs": 0}, "--epochs=0"),
        (options.TrainOptions, {"weight_decay": -1.0}, "--weight_decay=-1.0: must be at least 0"),
        (options.TrainOptions, {"learning_rate": 0.0}, "--learning_rate=0.0"),
        (options.TrainOptions, {"learning_rate": float("nan")}, "--learning_rate=nan"),
        (options.TrainOptions, {"train_backbone": True, "cache_dir": "c"}, "cannot train the encoder"),
        (options.TrainOptions, {"run_dir": ""}, "--run_dir is empty"),
        (options.TrainOptions, {"follow": True}, "--follow without --imagery"),
        (options.TrainOptions, {"follow_min_locations": 0}, "--follow_min_locations=0"),
        (options.TrainOptions, {"follow_poll_s": 0.0}, "--follow_poll_s=0.0"),
        (options.TrainOptions, {"follow_timeout_s": -1.0}, "--follow_timeout_s=-1.0"),
        (options.TrainOptions, {"memory_gb": 0.0}, "--memory_gb=0.0: must be above 0"),
        (options.TrainOptions, {"imagery": "t", "cache_dir": "c"}, "--imagery with --cache_dir=c"),
        (options.TrainOptions, {"imagery": "t", "train_backbone": True}, "--imagery with --train_backbone"),
        (options.TrainOptions, {"imagery": "t", "config": "report"}, "--imagery with --config=report"),
        (options.TrainOptions, {"imagery": "t", "train_split": "test"}, "--imagery with --train_split=test"),
        (options.TrainOptions, {"imagery": "t", "validation_split": "test"}, "--imagery with --validation_split=test"),
        (options.EvaluateOptions, {"batch_size": 0}, "--batch_size=0"),
        (options.EvaluateOptions, {"imagery": "tree"}, "--imagery without --out"),
    ],
)
def test_impossible_values_are_refused(options_class, wrong, message):
    with pytest.raises(errors.OptionError, match=message):
        options_class(**wrong)


def test_defaults_are_possible():
    assert options.ExtractOptions().config == options.TrainOptions().config == "blocked"
    assert options.EvaluateOptions(imagery="tree", out="figures").split == "test"

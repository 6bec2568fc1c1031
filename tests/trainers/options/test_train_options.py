"""Values that no training, extraction or evaluation could mean."""

import pytest

from geods import errors
from geods.cli import flags as cli_flags
from trainers.options import evaluate_options, extract_options, train_options


@pytest.mark.parametrize(
    ("options_class", "wrong", "message"),
    [
        (extract_options.ExtractOptions, {"batch_size": 0}, "--batch_size=0: must be at least 1"),
        (extract_options.ExtractOptions, {"block_rows": 0}, "--block_rows=0"),
        (extract_options.ExtractOptions, {"splits": ()}, "--splits is empty"),
        (train_options.TrainOptions, {"epochs": 0}, "--epochs=0"),
        (train_options.TrainOptions, {"weight_decay": -1.0}, "--weight_decay=-1.0: must be at least 0"),
        (train_options.TrainOptions, {"learning_rate": 0.0}, "--learning_rate=0.0"),
        (train_options.TrainOptions, {"learning_rate": float("nan")}, "--learning_rate=nan"),
        (train_options.TrainOptions, {"train_backbone": True, "cache_dir": "c"}, "cannot train the encoder"),
        (train_options.TrainOptions, {"run_dir": ""}, "--run_dir is empty"),
        (train_options.TrainOptions, {"follow": True}, "--follow without --imagery"),
        (train_options.TrainOptions, {"follow_min_locations": 0}, "--follow_min_locations=0"),
        (train_options.TrainOptions, {"follow_poll_s": 0.0}, "--follow_poll_s=0.0"),
        (train_options.TrainOptions, {"follow_timeout_s": -1.0}, "--follow_timeout_s=-1.0"),
        (train_options.TrainOptions, {"memory_gb": 0.0}, "--memory_gb=0.0: must be above 0"),
        (train_options.TrainOptions, {"imagery": "t", "cache_dir": "c"}, "--imagery with --cache_dir=c"),
        (train_options.TrainOptions, {"imagery": "t", "train_backbone": True}, "--imagery with --train_backbone"),
        (train_options.TrainOptions, {"imagery": "t", "config": "report"}, "--imagery with --config=report"),
        (train_options.TrainOptions, {"imagery": "t", "train_split": "test"}, "--imagery with --train_split=test"),
        (
            train_options.TrainOptions,
            {"imagery": "t", "validation_split": "test"},
            "--imagery with --validation_split=test",
        ),
        (evaluate_options.EvaluateOptions, {"batch_size": 0}, "--batch_size=0"),
        (evaluate_options.EvaluateOptions, {"imagery": "tree"}, "--imagery without --out"),
        (evaluate_options.EvaluateOptions, {"checkpoint": "a", "run_dir": "r/", "out": "r"}, "--checkpoint without"),
    ],
)
def test_impossible_values_are_refused(options_class, wrong, message):
    with pytest.raises(errors.OptionError, match=message):
        cli_flags.build(options_class, **wrong)


def test_defaults_are_possible():
    assert extract_options.ExtractOptions().data.config == train_options.TrainOptions().data.config == "blocked"
    on_tree = cli_flags.build(evaluate_options.EvaluateOptions, imagery="tree", out="figures")
    assert on_tree.locations.split == "test"


def test_a_flag_belongs_to_one_stage_and_is_known_by_its_own_name():
    settings = cli_flags.build(train_options.TrainOptions, head="linear", cells="quadtree", seed=3)
    assert (settings.head.head, settings.cells.cells, settings.run.seed) == ("linear", "quadtree", 3)
    changed = cli_flags.replace(settings, dropout=0.5)
    assert changed.head.dropout == 0.5
    assert cli_flags.replace(changed, dropout=None) == settings
    assert cli_flags.values_of(settings)["head"] == "linear"
    with pytest.raises(TypeError, match="no_such_flag"):
        cli_flags.build(train_options.TrainOptions, no_such_flag=1)

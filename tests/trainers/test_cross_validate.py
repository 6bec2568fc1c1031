"""Cross-validation: every location once, no block shared, resumable."""

import dataclasses
import json
import signal
import time

import numpy as np
import pytest
import road

from geods import errors
from geods.cli import flags as cli_flags
from geods.dataset import splits
from geods.geo import partition
from trainers.evaluation import cross_validation
from trainers.features import feature_cache, joined_cache
from trainers.options import train_options
from trainers.runs import predictions, run_folder
from trainers.training import folds


@pytest.fixture(scope="module")
def done(data_dir, cache_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cv") / "run"
    flags = (f"--data_dir={data_dir}", "--config=random", f"--cache_dir={cache_dir}", "--head=linear", "--folds=2")
    flags += (
        "--epochs=4",
        "--learning_rate=0.05",
        "--members=2",
        "--cell_deg=2.5",
        "--lattice_deg=1",
        f"--run_dir={folder}",
    )
    return folder, flags, road.program("trainers.cross_validate", *flags).stdout


def changed(flags, *others):
    """Flags with others in place of those of the same names."""
    names = {flag.partition("=")[0] for flag in others}
    return [*(flag for flag in flags if flag.partition("=")[0] not in names), *others]


def test_every_location_is_predicted_once(done, cache_dir):
    folder, _, text = done
    cells = partition.read(folder / run_folder.PARTITION)
    found = predictions.read(folder, len(cells))
    ids = [name for split in splits.NAMES for name in feature_cache.FeatureCache(cache_dir / split).rows.location_ids]
    assert [one.location_id for one in found] == sorted(ids)
    assert json.loads((folder / run_folder.METRICS).read_text())["locations"] == len(ids) == road.LOCATIONS
    assert f"{road.LOCATIONS} locations" in text
    assert text.count("mean miles,") == 2


def test_it_learns_across_blocks(done):
    metrics = json.loads((done[0] / run_folder.METRICS).read_text())
    assert metrics["mean_miles"] < 0.8 * metrics["constant_guess"]["mean_miles"]


def test_no_fold_has_seen_a_block_that_it_is_measured_on(cache_dir):
    data = train_options.DataOptions(cache_dir=str(cache_dir), folds=3)
    coords = joined_cache.open_all([cache_dir]).rows.coords
    tested = np.zeros(len(coords), int)
    for fold in range(3):
        parts = folds.parts(dataclasses.replace(data, fold=fold), coords)
        blocks = {name: set(map(tuple, splits.blocks_of(coords[rows]).tolist())) for name, rows in parts.items()}
        assert not blocks["train"] & blocks["test"]
        assert not blocks["train"] & blocks["validation"]
        assert sum(map(len, parts.values())) == len(coords)
        tested[parts["test"]] += 1
        without = folds.parts(dataclasses.replace(data, fold=fold, validation_split=""), coords)
        assert not len(without["validation"])
        np.testing.assert_array_equal(without["test"], parts["test"])
    assert (tested == 1).all()


def test_joined_caches_hand_out_the_rows_of_each(cache_dir):
    joined = joined_cache.open_all([cache_dir])
    each = [feature_cache.FeatureCache(cache_dir / split) for split in splits.NAMES]
    whole = np.concatenate([cache.take(np.arange(len(cache))) for cache in each])
    rows = np.random.default_rng(0).permutation(len(joined))
    np.testing.assert_array_equal(joined.take(rows), whole[rows])


def test_finished_folds_stay_and_the_same_command_goes_on(done):
    folder, flags, text = done
    (folder / "fold1" / run_folder.METRICS).unlink()
    before = {fold: (folder / f"fold{fold}" / run_folder.MODEL).stat().st_mtime_ns for fold in range(2)}
    with road.started("trainers.cross_validate", *flags) as process:
        deadline_s = time.monotonic() + 120
        while (folder / "fold1" / run_folder.MODEL).exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        process.send(signal.SIGKILL)
    again = road.program("trainers.cross_validate", *flags).stdout
    after = {fold: (folder / f"fold{fold}" / run_folder.MODEL).stat().st_mtime_ns for fold in range(2)}
    assert {fold for fold in range(2) if before[fold] != after[fold]} == {1}
    assert again.splitlines()[3:] == text.splitlines()[3:]


def test_folds_of_other_flags_or_data_are_not_mixed(done, cache_dir, tmp_path):
    folder, flags, _ = done
    other = road.cache_of_others(cache_dir, tmp_path / "cache", '"pooling": "avg"', '"pooling": "max"')
    for flag in ("--epochs=5", f"--cache_dir={other}"):
        failed = road.program("trainers.cross_validate", *changed(flags, flag), expect=2)
        assert "with other flags or of other data" in failed.stderr
    settings = cli_flags.from_flagfile(train_options.TrainOptions, folder / "fold0.cfg")
    with pytest.raises(errors.RunError, match=r"fold0\.cfg: is of a training with other flags"):
        cross_validation.train_and_evaluate(cli_flags.replace(settings, seed=7))
    with pytest.raises(errors.RunError, match="holds a cross-validation already"):
        run_folder.check_unfinished(train_options.RunOptions(run_dir=str(folder)))


def test_what_a_fold_says_when_it_fails_is_told_and_only_results_are_replaced(done, tmp_path):
    _, flags, _ = done
    for name in ("notes", "folder", "fold1"):
        (tmp_path / name).mkdir()
    others = ("--head=report_6m", "--overwrite", f"--run_dir={tmp_path}")
    assert "no feature cache there" in (
        road.program("trainers.cross_validate", *changed(flags, *others, "--cache_dir=none"), expect=2).stderr
    )
    assert (tmp_path / "fold1").exists(), "removed for a training that could not start"
    failed = road.program("trainers.cross_validate", *changed(flags, *others), expect=2)
    assert "needs a feature map" in failed.stderr
    assert {"notes", "folder"} <= {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "fold1").exists()


def test_a_fold_is_evaluated_on_what_it_held_out(done):
    folder, _, _ = done
    told = road.program("trainers.evaluate", f"--run_dir={folder / 'fold0'}", "--from_images", expect=2)
    assert "was trained on fold 0" in told.stderr


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"folds": 1, "cache_dir": "c"}, "there is no such fold"),
        ({"folds": 3, "fold": 3, "cache_dir": "c"}, "there is no such fold"),
        ({"folds": 3}, "--folds without --cache_dir"),
        ({"members": 2}, "--members=2 without --cache_dir"),
        ({"members": 2, "imagery": "tree"}, "--imagery with --members=2"),
        ({"temperature": 0.0}, "--temperature=0.0"),
        ({"cell_deg": -1.0}, "--cell_deg=-1.0"),
    ],
)
def test_flags_that_cannot_be_are_refused(changed, message):
    with pytest.raises(errors.OptionError, match=message):
        cli_flags.build(train_options.TrainOptions, **changed)

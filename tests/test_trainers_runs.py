"""Run folders: what is refused, what is kept, what is written down."""

import drawn_trees
import pytest

from geods import errors, partition
from trainers import options, runs


def test_a_run_writes_down_its_options_and_partition(tmp_path):
    settings = options.TrainOptions(run_dir=str(tmp_path / "run"), epochs=3, dropout=0.25)
    folder = runs.start(settings, drawn_trees.cells())
    assert runs.options_of(folder) == settings
    assert partition.read(folder / runs.PARTITION).to_geojson() == drawn_trees.cells().to_geojson()


def test_a_finished_run_is_not_replaced_by_accident(tmp_path):
    settings = options.TrainOptions(run_dir=str(tmp_path))
    for name in (runs.MODEL, runs.METRICS):
        (tmp_path / name).write_text("precious")
    with pytest.raises(errors.RunError, match=r"holds a trained model already(.|\n)*--overwrite"):
        runs.start(settings, drawn_trees.cells())
    assert (tmp_path / runs.MODEL).read_text() == "precious"
    runs.start(options.TrainOptions(run_dir=str(tmp_path), overwrite=True), drawn_trees.cells())
    assert not (tmp_path / runs.MODEL).exists()
    assert not (tmp_path / runs.METRICS).exists(), "old figures would pass for those of the new model"


def test_folders_without_a_model_are_no_runs(tmp_path):
    with pytest.raises(errors.RunError, match=r"there is no such folder(.|\n)*trainers\.train"):
        runs.require(str(tmp_path / "nothing"))
    runs.start(options.TrainOptions(run_dir=str(tmp_path)), drawn_trees.cells())
    with pytest.raises(errors.RunError, match=r"holds no model\.keras"):
        runs.require(str(tmp_path))
    (tmp_path / runs.MODEL).touch()
    assert runs.require(str(tmp_path)) == tmp_path

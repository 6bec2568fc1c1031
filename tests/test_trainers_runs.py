"""Run folders: what is refused, what is kept, what is written down."""

import dataclasses

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


def test_a_training_goes_on_only_with_what_it_was_begun_with(tmp_path):
    settings, cells = options.TrainOptions(run_dir=str(tmp_path)), drawn_trees.cells()
    runs.start(settings, cells, "data")
    runs.snapshot(tmp_path).write_text("precious")
    assert runs.start(settings, cells, "data") == tmp_path
    for changes, its_cells, source, said in (
        ({"epochs": 99}, cells, "data", "begun with --epochs=25 and is not finished"),
        ({"dropout": 0.5}, cells, "data", "begun with no --dropout=0.5 and"),
        ({}, partition.Partition(cells.shapes[:3]), "data", "begun with another partition and"),
        ({}, cells, "other data", "begun with another source and"),
    ):
        with pytest.raises(errors.RunError, match=rf"{said}(.|\n)*--overwrite"):
            runs.start(dataclasses.replace(settings, **changes), its_cells, source)
    assert runs.snapshot(tmp_path).read_text() == "precious"
    runs.start(dataclasses.replace(settings, overwrite=True), cells, "data")
    assert not runs.snapshot(tmp_path).exists()


def test_a_model_beside_what_to_go_on_from_is_not_finished(tmp_path):
    settings = options.TrainOptions(run_dir=str(tmp_path))
    runs.start(settings, drawn_trees.cells(), "data")
    (tmp_path / runs.MODEL).touch()
    assert runs.refuse_finished(settings) == tmp_path
    runs.finish(tmp_path)
    assert not (tmp_path / runs.UNFINISHED).exists()
    with pytest.raises(errors.RunError, match="holds a trained model already"):
        runs.refuse_finished(settings)


def test_a_note_of_what_was_begun_that_is_damaged_is_told(tmp_path):
    settings = options.TrainOptions(run_dir=str(tmp_path))
    runs.start(settings, drawn_trees.cells(), "data")
    runs.snapshot(tmp_path).touch()
    (tmp_path / runs.UNFINISHED / "training.json").write_text("{}")
    with pytest.raises(errors.RunError, match=r"training\.json: is damaged(.|\n)*--overwrite"):
        runs.start(settings, drawn_trees.cells(), "data")

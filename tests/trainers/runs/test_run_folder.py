"""Run folders: refusals, kept files, written files."""

import dataclasses
import pathlib

import drawn_trees
import pytest

from geods import errors
from geods.cli import flags as cli_flags
from geods.geo import partition
from trainers.features import cache_format
from trainers.options import evaluate_options, train_options
from trainers.runs import run_folder


def start(settings, cells, source=""):
    return run_folder.start(settings.run, cli_flags.to_flagfile(settings), cells, source)


def test_a_run_writes_down_its_options_and_partition(tmp_path):
    settings = cli_flags.build(train_options.TrainOptions, run_dir=str(tmp_path / "run"), epochs=3, dropout=0.25)
    folder = start(settings, drawn_trees.cells())
    assert run_folder.options_of(folder) == settings
    assert partition.read(folder / run_folder.PARTITION).to_geojson() == drawn_trees.cells().to_geojson()


def test_a_finished_run_is_not_replaced_by_accident(tmp_path):
    settings = cli_flags.build(train_options.TrainOptions, run_dir=str(tmp_path))
    for name in (run_folder.MODEL, run_folder.METRICS):
        (tmp_path / name).write_text("precious")
    with pytest.raises(errors.RunError, match=r"holds a trained model already(.|\n)*--overwrite"):
        start(settings, drawn_trees.cells())
    assert (tmp_path / run_folder.MODEL).read_text() == "precious"
    start(cli_flags.build(train_options.TrainOptions, run_dir=str(tmp_path), overwrite=True), drawn_trees.cells())
    assert not (tmp_path / run_folder.MODEL).exists()
    assert not (tmp_path / run_folder.METRICS).exists(), "old figures would pass for those of the new model"
    (tmp_path / run_folder.METRICS).touch()
    with pytest.raises(errors.RunError, match="holds an evaluation already"):
        start(settings, drawn_trees.cells())


def test_a_run_whose_data_were_moved_takes_their_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("run").mkdir()
    settings = cli_flags.build(train_options.TrainOptions, data_dir="data", backbone_weights="random", run_dir="run")
    pathlib.Path("data").mkdir()
    pathlib.Path("random").touch()
    text = cli_flags.to_flagfile(cli_flags.with_absolute_paths(settings))
    assert f"--data_dir={tmp_path / 'data'}\n" in text
    assert "--backbone_weights=random\n" in text
    run = pathlib.Path("run").absolute()
    for flags, said in (
        (text, f"{tmp_path / 'data'}, which is not there."),
        ("--data_dir=data\n", "data, which is not there in"),
    ):
        (run / run_folder.FLAGS).write_text(flags)
        pathlib.Path("data").rename("moved")
        with pytest.raises(errors.RunError, match=rf"{said}(.|\n)*--data_dir=PATH"):
            run_folder.data_of(run, evaluate_options.LocationOptions())
        assert run_folder.data_of(run, evaluate_options.LocationOptions(data_dir="moved")).data_dir == "moved"
        pathlib.Path("moved").rename("data")


def test_a_cache_that_was_moved_is_found_by_its_features_or_named_as_missing(tmp_path):
    (tmp_path / run_folder.FLAGS).write_text(
        f"--data_dir={tmp_path}\n--cache_dir={tmp_path / 'old'}\n--features=textures\n"
    )
    moved = tmp_path / "moved" / "textures"
    for folder in (moved.parent, moved):
        options = evaluate_options.LocationOptions(cache_dir=str(folder))
        with pytest.raises(errors.RunError, match=r"holds no features of split 'test'(.|\n)*--from_images"):
            run_folder.data_of(tmp_path, options)
        unasked = dataclasses.replace(options, from_images=True)
        assert run_folder.data_of(tmp_path, unasked).data_dir == str(tmp_path)
    (moved / "test").mkdir(parents=True)
    (moved / "test" / cache_format.INDEX).touch()
    for folder in (moved.parent, moved):
        options = evaluate_options.LocationOptions(cache_dir=str(folder))
        assert run_folder.data_of(tmp_path, options).cache_dir == (str(moved),)


def test_folders_without_a_model_are_no_runs(tmp_path):
    with pytest.raises(errors.RunError, match=r"there is no such folder(.|\n)*trainers\.train"):
        run_folder.check_run(str(tmp_path / "nothing"))
    start(cli_flags.build(train_options.TrainOptions, run_dir=str(tmp_path)), drawn_trees.cells())
    with pytest.raises(errors.RunError, match=r"holds no model\.keras"):
        run_folder.check_run(str(tmp_path))
    (tmp_path / run_folder.MODEL).touch()
    assert run_folder.check_run(str(tmp_path)) == tmp_path


def test_a_training_goes_on_only_with_what_it_was_begun_with(tmp_path):
    settings, cells = cli_flags.build(train_options.TrainOptions, run_dir=str(tmp_path)), drawn_trees.cells()
    start(settings, cells, "data")
    run_folder.snapshot(tmp_path).write_text("precious")
    assert start(settings, cells, "data") == tmp_path
    assert start(cli_flags.replace(settings, data_dir="moved", cache_dir="moved"), cells, "data") == tmp_path
    with pytest.raises(errors.RunError, match=r"stopped before its end(.|\n)*trainers\.train --flagfile=.*flags\.cfg"):
        run_folder.check_run(str(tmp_path))
    for changes, its_cells, source, said in (
        ({"epochs": 99}, cells, "data", "an unfinished training that was started with --epochs=25"),
        ({"dropout": 0.5}, cells, "data", "started with no --dropout=0.5"),
        ({}, partition.Partition(cells.shapes[:3]), "data", "started with another partition"),
        ({}, cells, "other data", "started with another source"),
    ):
        with pytest.raises(errors.RunError, match=rf"{said}(.|\n)*--overwrite"):
            start(cli_flags.replace(settings, **changes), its_cells, source)
    assert run_folder.snapshot(tmp_path).read_text() == "precious"
    start(cli_flags.replace(settings, overwrite=True), cells, "data")
    assert not run_folder.snapshot(tmp_path).exists()
    run_folder.snapshot(tmp_path).write_text("precious")
    start(settings, cells, "data")
    assert run_folder.snapshot(tmp_path).exists(), "one that was started with --overwrite could never be resumed"
    assert not run_folder.options_of(tmp_path).run.overwrite


def test_a_model_beside_what_to_go_on_from_is_not_finished(tmp_path):
    settings = cli_flags.build(train_options.TrainOptions, run_dir=str(tmp_path))
    start(settings, drawn_trees.cells(), "data")
    (tmp_path / run_folder.MODEL).touch()
    assert run_folder.check_unfinished(settings.run) == tmp_path
    run_folder.finish(tmp_path)
    assert not (tmp_path / run_folder.UNFINISHED).exists()
    with pytest.raises(errors.RunError, match="holds a trained model already"):
        run_folder.check_unfinished(settings.run)


def test_a_note_of_what_was_begun_that_is_damaged_is_told(tmp_path):
    settings = cli_flags.build(train_options.TrainOptions, run_dir=str(tmp_path))
    start(settings, drawn_trees.cells(), "data")
    run_folder.snapshot(tmp_path).touch()
    (tmp_path / run_folder.UNFINISHED / "training.json").write_text("{}")
    with pytest.raises(errors.RunError, match=r"training\.json: is damaged(.|\n)*--overwrite"):
        start(settings, drawn_trees.cells(), "data")

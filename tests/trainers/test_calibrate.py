"""Calibration by the program, and the regions that predict then adds."""

import json
import shutil

import pytest
import road

from geods import errors
from trainers import calibrate
from trainers.evaluation import calibration
from trainers.runs import run_folder


@pytest.fixture(scope="module")
def run(run_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(run_dir, folder)
    road.program("trainers.evaluate", f"--run_dir={folder}", "--split=train")
    return folder


def test_it_writes_what_it_prints_and_predict_gives_regions(run, tree_dir):
    # A temperature of the locations a run was trained on would be too low.
    refused = road.program("trainers.calibrate", f"--run_dir={run}", expect=2)
    assert "was evaluated on the locations it was trained on" in refused.stderr
    metrics = json.loads((run / run_folder.METRICS).read_text())
    assert metrics["seen"]["trained_on"] == metrics["locations"]
    (run / run_folder.METRICS).write_text(json.dumps(metrics | {"on": "unnamed"}))
    done = road.program("trainers.calibrate", f"--run_dir={run}")
    measured = json.loads((run / run_folder.CALIBRATION).read_text())
    assert measured["locations"] == 119
    assert f"hold {measured['coverage']:.1%}" in done.stdout
    assert "note: 119 locations some of which it was trained on" in done.stdout
    assert 0.75 < measured["coverage"] <= 1
    assert (run / "calibration.png").read_bytes().startswith(b"\x89PNG")
    image = next(tree_dir.rglob("*.jpg"))
    line = json.loads(road.program("tools.predict", f"--run_dir={run}", image).stdout)
    assert line["region"]["level"] == 0.9
    assert line["region"]["area_km2"] > 0


def test_a_damaged_file_names_the_program_that_makes_it_anew(tmp_path):
    (tmp_path / run_folder.CALIBRATION).write_text('{"temperature": "warm"}')
    with pytest.raises(errors.RunError, match=r"is damaged(.|\n)*trainers\.calibrate"):
        calibration.read(tmp_path)
    (tmp_path / run_folder.CALIBRATION).unlink()
    assert calibration.read(tmp_path) is None


def test_one_part_is_refused():
    with pytest.raises(errors.OptionError, match="--parts=1"):
        calibrate.Options(parts=1)


def test_a_run_without_predictions_is_refused(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / run_folder.PREDICTIONS).unlink(missing_ok=True)
    failed = road.program("trainers.calibrate", f"--run_dir={tmp_path / 'run'}", expect=2)
    assert "trainers.evaluate" in failed.stderr

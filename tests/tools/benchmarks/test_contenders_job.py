"""Parts of the job's benchmark: programs, the report's job, trees, copies."""

import dataclasses
import json

import checkout
import numpy as np
import pytest
from PIL import Image

from geods import errors
from geods.geo import geometry
from geods.tree import imagery_tree
from tools import benchmark_build, benchmark_job
from tools.benchmarks import contenders_build, contenders_job, report_training, stages, trees

ENCODER = contenders_job.Encoder("mobilenet_v2", "random", 128, 128)


def test_a_program_is_measured(tmp_path):
    code = "kept = bytearray(b'x' * (150 << 20)); import time; time.sleep(0.2); print('done')"
    measured = stages.run("holder", ["-c", code], tmp_path / "logs" / "holder.log")
    assert measured.name == "holder"
    assert measured.peak_rss_mb > 150
    assert measured.seconds > 0.2
    assert (tmp_path / "logs" / "holder.log").read_text() == "done\n"
    with pytest.raises(errors.BenchmarkError, match=r"cheese: ended with code 3: gone(.|\n)*python -c"):
        stages.run("cheese", ["-c", "print('gone'); raise SystemExit(3)"], tmp_path / "log")


@pytest.fixture(scope="module")
def arguments(tree_dir, tmp_path_factory) -> dict:
    """A report's job on six images, of which two are held out."""
    folder = tmp_path_factory.mktemp("report")
    views = [view.path for place in imagery_tree.read(tree_dir) for view in place.views][:6]
    paths = [folder / f"{number}.jpg" for number in range(6)]
    for view, path in zip(views, paths, strict=True):
        Image.open(view).resize((32, 32)).save(path)
    centroids = np.column_stack([np.linspace(30, 45, 15), np.linspace(-120, -75, 15)]).tolist()
    names = list(map(str, paths))
    return {
        "train": names[:4],
        "labels": [0, 1, 2, 3],
        "test": names[4:],
        "coords": centroids[4:6],
        "centroids": centroids,
        "encoder": "report_cnn",
        "weights": "random",
        "head": "report_75k",
        "epochs": 2,
    }


def test_the_report_is_run_whole_or_for_a_stretch(arguments):
    whole = report_training._all(report_training.Arguments(**arguments, steps=0))
    assert whole["steps"] == 8
    far = geometry.haversine_km(*np.array(arguments["centroids"])[[0, -1]]) / geometry.KM_PER_MILE
    assert 0 < whole["mean_miles"] < far
    stretch = report_training._stretch(report_training.Arguments(**arguments, steps=3))
    assert stretch["steps"] == 3
    assert all(stretch[name] > 0 for name in ("chunk_s", "step_s", "predict_s"))
    assert "mean_miles" not in stretch


def test_what_a_stretch_stands_for(arguments):
    found = {"chunk_s": 1.0, "step_s": 10.0, "predict_s": 100.0}
    assert contenders_job.report_seconds(found, arguments) == 4 * (1 + 2 * 10) + 2 * 100


def test_larger_trees_repeat_the_images_at_other_places(tree_dir, tmp_path):
    # Beside the tree, as links cannot leave a file system.
    target = tree_dir.parent / "grown"
    grown, images = trees.repeated(tree_dir, target, 1000)
    places = imagery_tree.read(grown)
    assert images == sum(len(place.views) for place in places) >= 1000
    assert len({place.location_id for place in places}) == len(places)
    assert trees.repeated(tree_dir, target, 1000)[1] == images, "again, nothing changes"


def test_builds_and_copies_bring_every_byte(tree_dir, tmp_path):
    paths = list(tree_dir.glob("*/*/*.jpg"))
    size_bytes = sum(path.stat().st_size for path in paths)
    check = benchmark_build.checker(size_bytes)
    for checked in (False, True):
        copy = contenders_build.Copy(str(tree_dir), str(tmp_path / "copy"), checked)
        assert copy.run() == len(paths)
        assert copy.facts()["bytes"] == size_bytes
        check(benchmark_build.harness.Contender("copy", "", {}), copy.facts())
    with pytest.raises(errors.BenchmarkError, match="cheat: wrote 5 bytes"):
        check(benchmark_build.harness.Contender("cheat", "", {}), {"bytes": 5})


def test_a_bad_image_ends_a_checked_copy(tmp_path):
    folder = tmp_path / "tree" / "0" / "40.0,-100.0"
    folder.mkdir(parents=True)
    (folder / "0_2012-05.jpg").write_bytes(b"no JPEG")
    root = str(tmp_path / "tree")
    assert contenders_build.Copy(root, str(tmp_path / "copy"), checked=False).run() == 1
    with pytest.raises(errors.ImageError, match="is not a JPEG"):
        contenders_build.Copy(root, str(tmp_path / "copy"), checked=True).run()


def stretch(step_s: float) -> tuple[stages.Measured, dict]:
    return stages.Measured("report", 9.0, 4900.0, 9.0), {"chunk_s": 0.0, "step_s": step_s, "predict_s": 0.0}


def test_the_report_of_a_job_says_what_was_run_and_what_was_estimated(arguments, tmp_path, capsys):
    ours = [[stages.Measured(name, 10.0, 900.0, 10.0) for name in ("build", "extract", "train", "evaluate")]] * 2
    stretches = [stretch(100.0), stretch(150.0), stretch(200.0)]
    theirs_s = benchmark_job._estimated(stretches, arguments)
    assert theirs_s == [1000.0, 1400.0], "each of ours against the stretches before and after it"
    outcome = {"ours": (500.0, [450.0, 550.0], "770.0"), "report": (800.0, [750.0, 850.0], "770.0")}
    settings = benchmark_job.Options(work_dir=str(tmp_path), stretch_steps=7)
    alone = stages.Measured("TensorFlow alone", 3.0, 600.0, 3.0)
    benchmark_job._report(ours, stretches, theirs_s, outcome, alone, settings)
    said = capsys.readouterr().out
    assert "estimated from 7 steps run 3 times" in said
    assert "its head trained whole on cached maps" in said
    assert "500.0 (450 to 550)" in said
    assert "800.0 (750 to 850)" in said
    assert "| 300 " in said, "memory beyond TensorFlow"
    line = json.loads((tmp_path / "job.jsonl").read_text())
    assert line["times"]["cold"] == [25.0, 35.0]
    assert line["times"]["features ready"] == [50.0, 70.0]
    whole = dataclasses.replace(settings, full=True)
    benchmark_job._report(ours[:1], stretches[:1], [800.0], outcome, alone, whole)
    assert "run whole" in capsys.readouterr().out


def test_auto_is_left_to_the_extraction():
    found = benchmark_job.encoder_of(benchmark_job.Options())
    assert (found.runtime, found.precision) == ("auto", "auto")
    given = benchmark_job.Options(runtime="tensorflow", precision="mixed_bfloat16")
    assert benchmark_job.encoder_of(given).precision == "mixed_bfloat16"
    assert "--backbone=resnet50" in found.flags()


def test_negative_numbers_are_refused():
    with pytest.raises(errors.OptionError, match="--grow must not be below 0"):
        benchmark_job.Options(grow=(-1,))
    with pytest.raises(errors.OptionError, match="--rounds=0"):
        trees.ImageOptions(rounds=0)


def test_recipes_name_flag_files_that_are_there():
    folder = checkout.REPO / "trainers" / "recipes"
    for name in (benchmark_job.Options().recipe, benchmark_job.Options().head):
        assert (folder / f"{name}.cfg").is_file()

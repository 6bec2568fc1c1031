"""tools.export, on the run of the small road."""

import json
import shutil

import numpy as np
import pytest
import road

from geods import errors
from geods.cli import flags
from tools import export
from trainers.runs import run_folder


def test_a_saved_model_answers_with_the_bytes_of_a_photograph(run_dir, tree_dir, tmp_path):
    done = road.program("tools.export", f"--run_dir={run_dir}", f"--out={tmp_path / 'out'}", "--compared_locations=12")
    assert "compared on 12 locations" in done.stdout
    assert "0 other cells, 0 other points" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md",
        "partition.geojson",
        "saved_model",
    ]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "jpeg=tensorflow.constant" in card
    assert "| images it learned from | " in card

    import tensorflow as tf

    location = next(path for path in sorted(tree_dir.glob("*/*")) if len(list(path.iterdir())) == 3)
    jpegs = [path.read_bytes() for path in sorted(location.iterdir(), key=lambda path: int(path.name.split("_")[0]))]
    serve = tf.saved_model.load(tmp_path / "out" / "saved_model").signatures["serving_default"]
    answer = serve(jpeg=tf.constant([[*jpegs, b""]]))
    lines = {}
    for text in road.program("tools.predict", f"--run_dir={run_dir}", tree_dir, "--top=1").stdout.splitlines():
        line = json.loads(text)
        lines[line["location"]] = line
    said = lines[location.name]
    np.testing.assert_allclose(answer["coords"][0], (said["lat_deg"], said["lon_deg"]), atol=1e-4)
    assert answer["cells"].numpy().tolist() == [said["top_cells"][0]["cell"]]


def test_a_run_without_its_dataset_is_compared_on_named_images(run_dir, data_dir, tree_dir, tmp_path, capfd):
    moved = shutil.copytree(run_dir, tmp_path / "run")
    text = (moved / "flags.cfg").read_text()
    assert str(data_dir) in text
    (moved / "flags.cfg").write_text(text.replace(str(data_dir), str(tmp_path / "gone")))
    options = flags.build(export.Options, run_dir=str(moved), out=str(tmp_path / "out"), format="openvino")
    with pytest.raises(errors.RunError, match=r"cannot be read: .*\n?.*Next: .*--images="):
        export.main(options)
    assert "as when it was written; edited, or of another run" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    export.main(flags.replace(options, images=str(tree_dir), compared_locations=3))
    assert (tmp_path / "out" / "model.xml").is_file()
    with pytest.raises(errors.OptionError, match="exists already"):
        export.main(options)


def test_a_folder_that_cannot_be_made_is_refused_before_anything_slow(run_dir, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    options = flags.build(export.Options, run_dir=str(run_dir), out=str(tmp_path / "file" / "out"))
    with pytest.raises(errors.UnwritableError, match="file/out: cannot be written"):
        export.main(options)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(errors.DiskFullError, match="bytes are needed, 1 are free"):
        export.main(flags.replace(options, out=str(tmp_path / "out")))


@pytest.mark.parametrize(
    ("seen", "clause"),
    [({}, "that it had not seen"), ({"seen": {"included": True, "trained_on": 9}}, "some of which it was trained on")],
)
def test_the_card_says_whether_the_locations_were_new(seen, clause, tmp_path):
    figures = {"intervals": {"mean_miles": [1, 3]}, "within_km": {}, "constant_guess": {"mean_miles": 5}, "on": "test"}
    figures |= {"locations": 9, "mean_miles": 2, "median_miles": 2} | seen
    (tmp_path / run_folder.METRICS).write_text(json.dumps(figures))
    assert f"On 9 locations (test) {clause}: mean error 2.0" in export._figures(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]", '{"on": "test"}'])
def test_damaged_figures_are_named(content, tmp_path):
    (tmp_path / run_folder.METRICS).write_text(content)
    with pytest.raises(errors.RunError, match=r"metrics\.json: is damaged"):
        run_folder.read_metrics(tmp_path, "intervals")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"run_dir": ""}, "--run_dir: is empty"),
        ({"out": ""}, "--out: is empty"),
        ({"half": True}, "--half with --format=saved_model"),
        ({"compared_locations": 0}, "compared_locations"),
    ],
)
def test_options_are_checked(changes, problem):
    with pytest.raises(errors.OptionError, match=problem):
        flags.build(export.Options, **{"run_dir": "runs/a", "out": "out"} | changes)

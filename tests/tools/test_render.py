"""Pictures, pages and comparisons from run folders."""

import base64
import io
import json
import re

import drawn_photos
import drawn_runs
import drawn_trees
import numpy as np
import pytest
import road
from PIL import Image

from geods import errors
from geods.cli import flags
from geods.geo import partition
from tools import render
from trainers.plots import projection
from trainers.runs import predictions


@pytest.fixture(scope="module")
def cells():
    return drawn_runs.fiji()


@pytest.fixture(scope="module")
def entries(cells):
    return drawn_runs.predict(cells, 5)


@pytest.fixture
def run(tmp_path, cells, entries):
    return drawn_runs.write(tmp_path / "first_run", cells, entries)


def png_size(path):
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        assert picture.format == "PNG"
        return picture.size


def test_the_median_location_is_drawn_into_the_run_folder(run, entries, capsys):
    render.main(render.Options(run_dir=str(run)))
    middle = sorted(entries, key=lambda entry: entry.distance_km)[2]
    printed = capsys.readouterr().out
    assert f"{middle.location_id} (row " in printed
    assert "of 5, 2 better)" in printed
    assert projection.distance_text(middle.distance_km) in printed
    assert png_size(run / "map.png")[0] == 1500
    page = (run / "map.html").read_text(encoding="utf-8")
    assert "<title>Predictions of first_run, " in page
    assert middle.location_id in page


def test_a_location_can_be_named(run, entries, capsys):
    render.main(render.Options(run_dir=str(run), location=entries[4].location_id))
    assert f"{entries[4].location_id} (row 4 of 5" in capsys.readouterr().out
    render.main(render.Options(run_dir=str(run), location="1"))
    assert f"{entries[1].location_id} (row 1 of 5" in capsys.readouterr().out


def test_predictions_and_pictures_may_lie_elsewhere(run, tmp_path, cells, capsys):
    other = drawn_runs.write(tmp_path / "elsewhere", cells, drawn_runs.predict(cells, 3, seed=9))
    (other / "partition.geojson").unlink()
    render.main(render.Options(run_dir=str(run), predictions=str(other)))
    assert (other / "map.html").exists()
    assert not (run / "map.html").exists()
    render.main(render.Options(run_dir=str(run), predictions=str(other), out=str(tmp_path / "new" / "folder")))
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {"map.png", "map.html"}
    assert "of 3, 1 better" in capsys.readouterr().out


def test_views_come_from_a_tree_and_stand_upright(run, tmp_path, entries, capsys):
    tree = drawn_trees.write(tmp_path / "tree", [entry.location_id for entry in entries[:4]], headings=[0.0])
    # The drawn images are 32 x 24 pixels; orientation 6 is a quarter of a turn.
    (turned,) = (tree / "0" / entries[0].location_id).glob("*.jpg")
    turned.write_bytes(drawn_photos.jpeg(1, tags={0x0112: 6}))
    (run / "metrics.json").write_text(json.dumps({"on": str(tree)}), encoding="utf-8")
    for imagery in ("", str(tree)):
        render.main(render.Options(run_dir=str(run), images=True, imagery=imagery))
        assert f"images     of 4 of the page's 5 locations, from {tree}\n" in capsys.readouterr().out
    page = (run / "map.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    sizes = {}
    for entry in data["entries"]:
        for caption, address in entry["views"]:
            assert caption.startswith("0°")
            content = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
            sizes[entry["name"]] = Image.open(io.BytesIO(content)).size
    assert sizes == {entry.location_id: (32, 24) for entry in entries[1:4]} | {entries[0].location_id: (24, 32)}


def test_views_come_from_the_dataset_of_the_run(tmp_path, data_dir, tree_dir, capsys):
    from trainers.options import train_options

    ids = sorted(path.name for path in tree_dir.glob("*/*"))
    cells = partition.read(tree_dir / "partition.geojson")
    coords = [tuple(map(float, name.split(","))) for name in ids]
    probabilities = np.full(len(cells), 1 / len(cells), np.float16)
    found = [predictions.Prediction(name, place, place, probabilities) for name, place in zip(ids, coords, strict=True)]
    run = drawn_runs.write(tmp_path / "run", cells, found)
    options = flags.build(train_options.TrainOptions, data_dir=str(data_dir), config="random")
    (run / "flags.cfg").write_text(flags.to_flagfile(options), encoding="utf-8")
    (run / "metrics.json").write_text('{"on": "test"}', encoding="utf-8")
    render.main(render.Options(run_dir=str(run), images=True))
    assert f"images     of 75 of the page's 75 locations, from {data_dir}\n" in capsys.readouterr().out
    assert (run / "map.html").read_text(encoding="utf-8").count("data:image/webp") > 200


def test_a_tree_of_other_locations_has_no_views(run, tmp_path):
    tree = drawn_trees.write(tmp_path / "tree", ["31.5,-99.5"])
    with pytest.raises(errors.RunError, match=r"holds none of the predicted locations(.|\n)*--imagery=TREE"):
        render.main(render.Options(run_dir=str(run), images=True, imagery=str(tree)))
    assert not list(run.glob("map.*"))


def test_a_view_that_is_no_image_is_named(run, tmp_path, entries):
    tree = drawn_trees.write(tmp_path / "tree", [entries[0].location_id])
    for path in tree.glob("*/*/*.jpg"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(errors.ImageError, match=r"\.jpg: cannot be decoded(.|\n)*tools.check_tree --tree="):
        render.main(render.Options(run_dir=str(run), images=True, imagery=str(tree)))


def test_the_report_map_is_drawn_beside_ours(run, capsys):
    render.main(render.Options(run_dir=str(run), shading="minmax"))
    assert png_size(run / "map_minmax.png") == png_size(run / "map.png")
    assert "map.png, map_minmax.png" in capsys.readouterr().out


@pytest.mark.parametrize("figure", ["cell", "input"])
def test_figures_of_a_tree(tmp_path, cells, figure, capsys):
    tree = drawn_trees.write(tmp_path / "tree", ["-17.5,177.5", "-17.6,177.6", "-17.5,-179.5"])
    partition.write(cells, tree / "partition.geojson")
    render.main(render.Options(figure=figure, imagery=str(tree), out=str(tmp_path)))
    assert png_size(tmp_path / f"{figure}.png")[1] > 300
    with pytest.raises(errors.TreeError, match=r"--cell=1: .* no location there(.|\n)*0 has the most"):
        render.main(render.Options(figure=figure, imagery=str(tree), cell=1, out=str(tmp_path)))


def test_layers_are_a_table(run_dir, tmp_path, capsys):
    render.main(render.Options(run_dir=str(run_dir), figure="layers", out=str(tmp_path)))
    text = (tmp_path / "layers.txt").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert re.search(r"^backbone +Backbone +\(.*\) +[\d,]+$", text, re.MULTILINE)
    assert re.search(r"^logits +Dense +\(\d+,\) +[\d,]+$", text, re.MULTILINE)


def test_runs_are_compared_in_the_report_metric(tmp_path, capsys):
    folder = drawn_runs.write_metrics(tmp_path / "mlp", 520.5)
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    content |= {"report_mean_miles": 498.7, "constant_guess": {"mean_miles": 769.0, "report_mean_miles": 750.2}}
    (folder / "metrics.json").write_text(json.dumps(content), encoding="utf-8")
    render.main(render.Options(compare=(str(folder),), metric="report", out=str(tmp_path / "bars.png")))
    assert "mlp    498.7 miles, constant guess 750.2" in capsys.readouterr().out


def test_nothing_is_written_when_something_is_wrong(run):
    (run / "probabilities.npy").write_bytes(b"")
    with pytest.raises(errors.RunError, match="not a whole"):
        render.main(render.Options(run_dir=str(run)))
    assert not list(run.glob("map.*"))


def test_a_place_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.RunError, match=r"map.png: cannot be written"):
        render.main(render.Options(run_dir=str(run), out=str(tmp_path / "file")))


def test_runs_are_compared(tmp_path, capsys):
    folders = [drawn_runs.write_metrics(tmp_path / name, mean) for name, mean in (("linear", 610.0), ("mlp", 520.5))]
    out = tmp_path / "bars.png"
    render.main(render.Options(compare=tuple(map(str, folders)), out=str(out)))
    printed = capsys.readouterr().out
    assert "linear    610.0 miles (95 %: 570.0 to 655.0), constant guess 769.0" in printed
    assert "mlp       520.5 miles" in printed
    assert png_size(out)[1] > 500
    assert "note:" not in printed
    content = (folders[0] / "metrics.json").read_text(encoding="utf-8")
    (folders[0] / "metrics.json").write_text(content.replace("769.0", "700.0"), encoding="utf-8")
    render.main(render.Options(compare=tuple(map(str, folders)), out=str(out)))
    assert "were not evaluated on the same locations" in capsys.readouterr().out


def test_runs_of_the_same_name_are_told_apart(tmp_path, capsys):
    folders = [drawn_runs.write_metrics(tmp_path / side / "mlp", 600.0) for side in ("a", "b")]
    render.main(render.Options(compare=tuple(map(str, folders)), out=str(tmp_path / "bars.png")))
    assert str(folders[0]) in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"mean_miles": 1, "intervals": {"mean_miles": [1]}}'])
def test_a_run_without_metrics_names_the_command_that_makes_them(tmp_path, content):
    if content is not None:
        (tmp_path / "metrics.json").write_text(content, encoding="utf-8")
    problem = r"metrics.json: (does not exist|holds no mean_miles).*\nNext: .*trainers.evaluate --run_dir="
    with pytest.raises(errors.RunError, match=problem):
        render.main(render.Options(compare=(str(tmp_path),), out=str(tmp_path / "bars.png")))
    assert not (tmp_path / "bars.png").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "--run_dir and --compare: give one of the two"),
        ({"run_dir": "a", "compare": ("b",)}, "--run_dir and --compare: give one of the two"),
        ({"compare": ("b",), "out": "bars.pdf"}, "a comparison is a .png file"),
        ({"run_dir": "a", "imagery": "tree"}, "--imagery=tree: is read for --images and --figure alone"),
        ({"figure": "cell"}, "--figure=cell: is drawn from an imagery tree"),
        ({"figure": "layers"}, "--run_dir and --compare: give one of the two"),
        ({"compare": ("b",), "human_miles": -1.0}, "--human_miles=-1.0: is not a distance"),
        ({"compare": ("b",), "human_miles": float("nan")}, "--human_miles=nan: is not a distance"),
    ],
)
def test_wrong_options_are_refused(options, problem):
    with pytest.raises(errors.OptionError, match=problem):
        render.Options(**options)


def test_from_the_command_line(run, tmp_path):
    location_id = predictions.read(run, 3)[0].location_id
    done = road.program("tools.render", f"--run_dir={run}", f"--location={location_id}")
    assert f"written    {run / 'map.html'}\n" in done.stdout
    assert f"next: python -m tools.predict --run_dir={run}" in done.stdout
    wrong = road.program("tools.render", f"--run_dir={tmp_path / 'absent'}", expect=2)
    assert "there is no such folder" in wrong.stderr
    assert "Traceback" not in wrong.stderr

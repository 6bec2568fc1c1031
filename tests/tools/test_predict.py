"""Predictions as JSON, from images, folders and trees, and bad images."""

import dataclasses
import io
import json
import os
import pathlib
import re
import shutil

import drawn_photos
import drawn_runs
import drawn_trees
import numpy as np
import pytest
import road
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geods import errors
from geods.geo import geometry
from geods.storage import seals
from geods.tree import imagery_tree, named_images
from tools import predict
from trainers.evaluation import answers, keras_predictor, run_predictor
from trainers.runs import run_folder


@pytest.fixture(scope="module")
def cells():
    return drawn_trees.cells()


@pytest.fixture(scope="module")
def run(tmp_path_factory, cells):
    return drawn_runs.finish(tmp_path_factory.mktemp("run"), cells)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A folder of images with no places in their names."""
    folder = tmp_path_factory.mktemp("plain")
    for number in range(3):
        (folder / f"photo {number}.jpg").write_bytes(drawn_trees.jpeg(number, 40, 60))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def imagery(tmp_path_factory):
    return drawn_trees.write(tmp_path_factory.mktemp("tree"), drawn_trees.location_ids(4))


@pytest.fixture(scope="module")
def model(run):
    return keras_predictor.KerasPredictor(run)


def predicted(model, *words, **options):
    """Returns the lines as JSON brings them back."""
    wanted = predict.Options(run_dir=str(model.folder), images=tuple(map(str, words)), **options)
    locations = [location for word in wanted.images for location in named_images.find(word)]
    return [
        json.loads(json.dumps(line))
        for line in answers.predict(model, locations, wanted.batch_size, wanted.top, wanted.all_cells)
    ]


def test_an_image_is_a_line(model, plain, cells):
    (line,) = predicted(model, plain / "photo 0.jpg")
    assert list(line) == ["file", "views", "lat_deg", "lon_deg", "top_cells", "elsewhere"]
    assert line["file"] == str(plain / "photo 0.jpg")
    assert line["views"] == 1
    top = [cell["probability"] for cell in line["top_cells"]]
    assert len(top) == 5
    assert top == sorted(top, reverse=True)
    assert sum(top) + line["elsewhere"] == pytest.approx(1, abs=1e-9)
    best = line["top_cells"][0]
    np.testing.assert_allclose([best["lat_deg"], best["lon_deg"]], cells.centroids[best["cell"]], atol=1e-5)
    assert "name" not in best
    regions = dataclasses.replace(cells, names=tuple(f"region {cell}" for cell in range(len(cells))))
    location = named_images.find(str(plain / "photo 0.jpg"))[0]
    named = answers.describe(location, np.full(len(cells), 1 / len(cells)), np.zeros(2), regions, 2)
    assert [cell["name"] for cell in named["top_cells"]] == ["region 0", "region 1"]


def test_a_folder_of_images_is_a_line_an_image(model, plain):
    lines = predicted(model, plain, batch_size=2)
    assert [line["file"] for line in lines] == [str(plain / f"photo {number}.jpg") for number in range(3)]
    one_by_one = [predicted(model, line["file"])[0] for line in lines]
    for together, alone in zip(lines, one_by_one, strict=True):
        assert (together["lat_deg"], together["lon_deg"]) == (alone["lat_deg"], alone["lon_deg"])
        np.testing.assert_allclose(together["elsewhere"], alone["elsewhere"], atol=1e-5)


def test_a_tree_is_a_line_a_location(model, imagery):
    lines = predicted(model, imagery, top=1, all_cells=True)
    places = imagery_tree.read(imagery)
    assert [line["location"] for line in lines] == [place.location_id for place in places]
    for line, place in zip(lines, places, strict=True):
        assert line["views"] == 3
        assert (line["true_lat_deg"], line["true_lon_deg"]) == (place.lat_deg, place.lon_deg)
        distance_km = geometry.haversine_km((place.lat_deg, place.lon_deg), (line["lat_deg"], line["lon_deg"]))
        assert line["distance_km"] == pytest.approx(distance_km, abs=0.01)
        assert line["distance_miles"] == pytest.approx(line["distance_km"] / 1.609344, abs=0.001)
        assert len(line["probabilities"]) == 15
        assert sum(line["probabilities"]) == pytest.approx(1, abs=1e-12)
        assert line["top_cells"][0]["probability"] == pytest.approx(max(line["probabilities"]), abs=1e-6)


def test_images_and_trees_may_be_named_together(model, plain, imagery):
    lines = predicted(model, plain / "photo 1.jpg", imagery, plain / "photo 0.jpg", top=99)
    assert ["file" in line for line in lines] == [True, False, False, False, False, True]
    assert lines[0]["views"] == 1
    assert len(lines[0]["top_cells"]) == 15
    assert lines[0]["elsewhere"] == pytest.approx(0, abs=1e-5)


def test_the_views_of_a_location_are_joined(model, imagery):
    place = imagery_tree.read(imagery)[0]
    whole = predicted(model, imagery, all_cells=True)[0]
    views = [predicted(model, view.path, all_cells=True)[0]["probabilities"] for view in place.views]
    np.testing.assert_allclose(whole["probabilities"], np.mean(views, axis=0), atol=1e-5)


def test_other_layouts_are_read(imagery, tmp_path):
    place = imagery_tree.read(imagery)[0]
    for view in place.views:
        (tmp_path / f"3+{place.location_id}+{view.path.name}").write_bytes(view.path.read_bytes())
    (found,) = named_images.find(str(tmp_path))
    assert (found.location_id, len(found.views)) == (place.location_id, 3)
    (tmp_path / "a.jpg").write_bytes(drawn_trees.jpeg(0))
    (tmp_path / "list.csv").write_text("file,latitude,longitude\na.jpg,1,2\n")
    assert named_images.find(str(tmp_path / "list.csv"))[0].location_id == "1,2"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (drawn_trees.jpeg(0)[:-200], "is truncated"),
        (b"<html><body>Forbidden</body></html>", "is a web page"),
        (drawn_trees.png(), "is a PNG, not a JPEG"),
    ],
    ids=["empty", "truncated", "html", "png"],
)
def test_a_bad_image_is_named_with_its_cause(model, plain, tmp_path, content, problem):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(errors.ImageError, match=rf"1 of 4 images cannot be used:\n.*bad.jpg: {problem}"):
        predicted(model, plain, tmp_path / "bad.jpg")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(errors.MissingFileError, match=r"absent.jpg: does not exist"):
        named_images.find(str(tmp_path / "absent.jpg"))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(errors.TreeError, match="holds no image and is no imagery tree"):
        named_images.find(str(tmp_path))


def test_a_tree_in_two_layouts_is_refused(imagery, tmp_path):
    drawn_trees.write(tmp_path, drawn_trees.location_ids(1))
    (tmp_path / "0+40,-100+90_2012-05.jpg").write_bytes(drawn_trees.jpeg(0))
    with pytest.raises(errors.TreeError, match="several layouts"):
        named_images.find(str(tmp_path))


def test_a_folder_without_a_run_is_refused(plain, tmp_path):
    with pytest.raises(errors.RunError, match="not a finished run"):
        predict.main(predict.Options(str(tmp_path), images=(str(plain),)))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"images": ("a.jpg",)}, "--run_dir: is empty"),
        ({"run_dir": "r"}, "no image or folder is named"),
        ({"run_dir": "r", "images": ("a.jpg",), "top": 0}, "--top=0: is below 1"),
        ({"run_dir": "r", "images": ("a.jpg",), "batch_size": 0}, "--batch_size=0: is below 1"),
    ],
)
def test_wrong_options_are_refused(options, problem):
    with pytest.raises(errors.OptionError, match=problem):
        predict.Options(**options)


@given(st.lists(st.floats(-1000, 0, width=32), min_size=1, max_size=30))
def test_probabilities_add_up_to_one(log_probabilities):
    probabilities = answers.probabilities_of(np.array(log_probabilities, np.float32))
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert (probabilities >= 0).all()


def test_the_graph_gives_the_answers_of_the_network_without_tensorflow(run_dir, tree_dir, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(imagery_tree_files(tree_dir)[0]) as image:
        image.resize((31, 87)).save(tmp_path / "turned and larger.jpg", exif=turned)
    words = [f"--run_dir={run_dir}", "--all_cells", "--batch_size=16", str(tree_dir), str(tmp_path)]
    status, _ = road.without_tensorflow(["tools.predict", "--runtime=openvino", *words], tmp_path / "said")
    assert status == 0
    said = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines() if line.startswith("{")]
    wanted = [
        json.loads(line) for line in road.program("tools.predict", "--runtime=tensorflow", *words).stdout.splitlines()
    ]
    assert len(said) == len(wanted) == road.LOCATIONS + 1
    for line, other in zip(said, wanted, strict=True):
        names = {"probabilities", "top_cells", "elsewhere"}
        assert {name: line[name] for name in line if name not in names} == {
            name: other[name] for name in other if name not in names
        }
        log_probabilities = np.log([line["probabilities"], other["probabilities"]])
        np.testing.assert_allclose(*log_probabilities, atol=1e-4)


def damage_weights(run):
    path = run / run_folder.GRAPH_WEIGHTS
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")


def cut_short(run):
    (run / run_folder.GRAPH).write_text((run / run_folder.GRAPH).read_text()[:-100])


def remove_graph(run):
    (run / run_folder.GRAPH).unlink()


def replace_model(run):
    shutil.copyfile(run / run_folder.PARTITION, run / run_folder.MODEL)


def forget_graph(run):
    shutil.rmtree((run / run_folder.GRAPH).parent)
    run_folder.finish(run)


def of_a_newer_openvino(run):
    graph = run / run_folder.GRAPH
    graph.write_text(graph.read_text().replace('version="opset1"', 'version="opset99"', 1))
    seals.renew(run, [run_folder.GRAPH])


@pytest.mark.parametrize(
    ("change", "problem", "is_told"),
    [
        (of_a_newer_openvino, "OpenVINO cannot run .*model.xml .*opset99", True),
        (damage_weights, "model.bin: its bytes have changed", True),
        (cut_short, "model.xml: has .* bytes, not", True),
        (remove_graph, "model.xml: is missing", True),
        (replace_model, "model.keras: holds the bytes of partition.geojson", True),
        (forget_graph, "holds no serving/model.xml that was sealed with its model", False),
    ],
)
def test_a_graph_of_another_model_is_not_taken(change, problem, is_told, run_dir, tmp_path, capsys):
    copy = shutil.copytree(run_dir, tmp_path / "run")
    change(copy)
    with pytest.raises(errors.RunError, match=f"--runtime=openvino: .*{problem}"):
        run_predictor.open_run(copy, runtime="openvino")
    if change is not replace_model:
        assert isinstance(run_predictor.open_run(copy), keras_predictor.KerasPredictor)
        assert bool(re.search(problem, capsys.readouterr().err)) == is_told


def test_main_prints_a_line_each(capsys, run, plain):
    predict.main(predict.Options(str(run), images=(str(plain),), top=1))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(line["top_cells"]) for line in lines] == [1, 1, 1]


def test_single_images_of_known_places_have_their_distance(capsys, run, imagery, tmp_path):
    printed = tmp_path / "0 + 42.775957,-124.0667758 + 0 - 2009 - 07.jpg"
    printed.write_bytes(drawn_trees.jpeg(0))
    predict.main(predict.Options(str(run), images=(str(printed), str(imagery)), views="single"))
    first, *others = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["true_lat_deg"], first["true_lon_deg"]) == (42.775957, -124.0667758)
    assert first["distance_miles"] > 0
    assert [line["file"] for line in [first, *others]] == [str(printed), *map(str, imagery_tree_files(imagery))]
    assert all(line["views"] == 1 and "distance_miles" in line for line in others)


def imagery_tree_files(root):
    return imagery_tree.view_paths(imagery_tree.read(root))


def test_a_bad_image_on_the_command_line_ends_in_one_error(run, plain, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"")
    done = road.program("tools.predict", f"--run_dir={run}", plain, tmp_path / "bad.jpg", expect=2)
    assert done.stdout == ""
    assert "bad.jpg: is empty (0 bytes)" in done.stderr
    assert "Traceback" not in done.stderr


def lines_of(capsys, run, *words, **options):
    predict.main(predict.Options(str(run), images=tuple(map(str, words)), top=1, **options))
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], err


def test_bad_images_are_left_out_and_named(capsys, run, plain, tmp_path):
    (tmp_path / "good.jpg").write_bytes(drawn_trees.jpeg(1))
    (tmp_path / "bad.jpg").write_bytes(drawn_trees.jpeg(1)[:-200])
    (tmp_path / "phone.heic").write_bytes(drawn_photos.HEIC)
    (tmp_path / "cut.png").write_bytes(drawn_trees.png()[:-30])
    (tmp_path / "link.jpg").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe.jpg")
    lines, err = lines_of(capsys, run, tmp_path, on_bad_image="skip")
    assert [line["file"] for line in lines] == [str(tmp_path / "good.jpg")]
    assert "left out: 5\n" in err
    assert "cut.png: is a damaged PNG (" in err
    assert len(re.findall("(?:link|pipe).jpg: is no file", err)) == 2
    assert "bad.jpg: is truncated" in err
    assert "phone.heic: is a HEIC, not a JPEG; pip install pillow-heif" in err
    with pytest.raises(errors.ImageError, match=r"5 of 6 images(.|\n)*--on_bad_image=skip"):
        lines_of(capsys, run, tmp_path)


def test_other_formats_are_decoded(capsys, run, tmp_path):
    with Image.open(io.BytesIO(drawn_trees.jpeg(1))) as image:
        for kind in ("png", "webp"):
            image.save(tmp_path / f"a.{kind}", lossless=True)
        image.save(tmp_path / "a.avif", quality=100)
        image.save(tmp_path / "a.jpg", quality=95, subsampling=0)
        grey = image.convert("L")
    grey.save(tmp_path / "b.jpg", quality=95)
    Image.fromarray(np.asarray(grey, np.uint16) * 257).save(tmp_path / "b.png")
    lines, err = lines_of(capsys, run, tmp_path)
    names = [pathlib.Path(line["file"]).name for line in lines]
    assert names == ["a.avif", "a.jpg", "a.png", "a.webp", "b.jpg", "b.png"]
    for line, jpeg_line in zip(lines, [*lines[1:2] * 4, *lines[4:5] * 2], strict=True):
        assert line["lat_deg"] == pytest.approx(jpeg_line["lat_deg"], abs=0.5)
    assert "decoded from PNG, WebP, AVIF or HEIC: 4\n" in err


def test_a_turned_photograph_is_answered_as_upright(capsys, run, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(io.BytesIO(drawn_trees.jpeg(1, 40, 64))) as image:
        image.save(tmp_path / "a.jpg", quality=98, subsampling=0)
        image.rotate(90, expand=True).save(tmp_path / "b.jpg", quality=98, subsampling=0, exif=turned)
    (upright, sideways), err = lines_of(capsys, run, tmp_path)
    assert sideways["top_cells"][0]["probability"] == pytest.approx(upright["top_cells"][0]["probability"], abs=1e-2)
    assert "stored turned (EXIF Orientation): 1" in err


def test_a_panorama_is_a_location_of_several_views(capsys, run, tmp_path):
    content = drawn_photos.sphere_jpeg(drawn_photos.sphere_frame(), drawn_photos.gpano())
    (tmp_path / "sphere.jpg").write_bytes(content)
    (line,), err = lines_of(capsys, run, tmp_path / "sphere.jpg")
    assert line["views"] == 4
    assert "views cut at four headings: 1\n" in err

"""The quickstart: a run that is stopped and resumed, and the sizes of cells."""

import json
import signal

import drawn_photos
import numpy as np
import pytest
import road
import shapely

from geods import errors
from geods.cli import program
from tools import quickstart
from trainers.runs import run_folder


@pytest.fixture
def boundary(tmp_path):
    path = tmp_path / "land.geojson"
    path.write_text(shapely.to_geojson(shapely.box(0, 44, 8, 50)))
    return path


def test_a_stopped_quickstart_resumes_with_photographs_that_came_meanwhile(boundary, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    places = np.random.default_rng(0).uniform((44, 0), (50, 8), (16, 2))
    for number, (lat_deg, lon_deg) in enumerate(places[:14]):
        drawn_photos.write(photos / f"{number}.jpg", number, lat_deg, lon_deg)
    (photos / "phone.heic").write_bytes(drawn_photos.HEIC)
    words = ("tools.quickstart", f"--photos={photos}", f"--boundary={boundary}", f"--out={out}")
    with road.started(*words, "--backbone_weights=random") as running:
        running.wait_to_say("[4/7] features of the photographs")
        running.send(signal.SIGINT)
        assert running.wait() == 130
        assert "stopped at step 4 of 7; the same command resumes there" in running.stderr
    for number, (lat_deg, lon_deg) in enumerate(places[14:], 14):
        drawn_photos.write(photos / f"{number}.jpg", number, lat_deg, lon_deg)
    done = road.program(*words, "--backbone_weights=random")
    assert "2 images imported, 14 were there" in done.stdout
    assert f"$ python -m tools.build_dataset --manual_dir={out}/tree --data_dir={out}/data --overwrite" in done.stdout
    assert f"$ python -m trainers.evaluate --run_dir={out}/run" in done.stdout
    assert done.stdout.count("next: ") == 1
    assert json.loads((out / "run" / "metrics.json").read_text())["locations"] > 0
    assert (out / "run" / "map.html").is_file()
    licence = run_folder.images_licence_of(run_folder.options_of(out / "run").data)
    assert licence == "see credits.csv in the imagery tree of its dataset"


def test_cells_fit_the_boundary_and_the_recipe_is_told(boundary, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = quickstart.Options(photos=str(tmp_path), boundary=str(boundary))
    made = {step.module: step.words for step in quickstart.steps(options)}
    assert "--cell_deg=1" in made["tools.make_partition"]
    boundary.write_text(shapely.to_geojson(shapely.box(6, 49, 6.5, 50)))
    made = {step.module: step.words for step in quickstart.steps(options)}
    assert "--cell_deg=0.1" in made["tools.make_partition"]
    assert {"--cell_deg=0", "--lattice_deg=0.05"} <= set(made["trainers.train"])


def test_flags_that_messages_of_its_steps_name_are_taken(boundary, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(program.NO_NEXT, "")
    shape = json.loads(boundary.read_text())
    features = [{"type": "Feature", "properties": {"name": name}, "geometry": shape} for name in "AB"]
    boundary.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    drawn_photos.write(tmp_path / "photos" / "1.jpg", 1, 45, 1)
    (tmp_path / "table.csv").write_text("Bild,Breite,Laenge\n1.jpg,45,1\n")
    given = {"photos": str(tmp_path / "photos"), "boundary": str(boundary), "out": str(tmp_path / "out")}
    given |= {"csv": str(tmp_path / "table.csv"), "where": ("name=A",)}
    with pytest.raises(errors.TreeError, match="--lat_column=NAME --lon_column=NAME"):
        quickstart.main(quickstart.Options(**given))
    assert "flags of step 2 go into --import_flags='--FLAG=VALUE'" in capsys.readouterr().err
    more = "--file_column=Bild --lat_column=Breite --lon_column=Laenge"
    first, second, *_ = quickstart.steps(quickstart.Options(**given, import_flags=more))
    assert "--where=name=A" in first.words
    assert set(more.split()) < set(second.words)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "--photos: is empty"),
        ({"photos": "p"}, "--boundary: is empty"),
        ({"photos": "p", "boundary": "us", "import_flags": "'"}, "No closing quotation"),
    ],
)
def test_photographs_and_boundary_are_needed(given, said):
    with pytest.raises(errors.OptionError, match=said):
        quickstart.Options(**given)


def test_a_folder_inside_the_photographs_is_refused_before_anything_is_made(tmp_path):
    options = quickstart.Options(photos=str(tmp_path), boundary="us", out=str(tmp_path / "out"))
    with pytest.raises(errors.OptionError, match=rf"inside it or around it\.\nNext: .*--out={tmp_path.parent}/tree"):
        quickstart.main(options)
    assert not list(tmp_path.iterdir())

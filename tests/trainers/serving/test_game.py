"""Games: their locations, views, results and file."""

import io
import json

import drawn_runs
import numpy as np
import pytest
from PIL import Image

from geods import errors
from geods.cli import flags
from geods.geo import geometry, partition
from trainers.options import train_options
from trainers.plots import view_source
from trainers.runs import human_guesses, predictions
from trainers.serving import game


@pytest.fixture
def world(tmp_path):
    """A folder with a run on a tree of seven locations, and its predictions."""
    return tmp_path, drawn_runs.write_with_tree(tmp_path, 7)


def games_of(root, **options):
    run = root / "run"
    cells = predictions.read_partition(run)
    source = view_source.open_source(str(run), **options)
    return game.Games(predictions.read(run, len(cells)), cells, source, root / "guesses.csv", seed=1)


def test_a_game_goes_from_its_first_view_to_its_last_distance(world):
    root, entries = world
    games = games_of(root)
    one = games.start()
    by_id = {entry.location_id: entry for entry in entries}
    for number in range(game.ROUNDS):
        shown = one.open()
        assert one.open() is shown
        assert shown.headings == [0, 90, 180]
        there = games.drawn.to_units(games.drawn.atlas.beside(np.array([41.0, -95.5])))[0]
        result = one.guess(tuple(there.tolist()), views_seen=99)
        line = human_guesses.read(root / "guesses.csv")[number]
        entry = by_id.pop(line.location_id)
        assert (line.game, line.round, line.views_seen) == (one.name[:8], number + 1, 3)
        guessed = [line.guessed_lat_deg, line.guessed_lon_deg]
        assert geometry.haversine_km(guessed, [41.0, -95.5]) < 1
        assert line.distance_km == pytest.approx(float(geometry.haversine_km(guessed, entry.truth)), abs=1e-3)
        assert result["player"]["distance_km"] == line.distance_km
        assert result["model"]["distance_km"] == pytest.approx(entry.distance_km, abs=1e-3)
        assert [result["truth"][name] for name in ("lat_deg", "lon_deg")] == pytest.approx(list(entry.truth))
        score = geometry.geoguessr_score(result["player"]["distance_km"], games.diagonal_km)
        assert result["player"]["score"] == round(float(score))
        assert result["player"]["line"][0] == result["truth"]["point"] == result["model"]["line"][0]
    assert one.open() is None
    assert len(by_id) == 2
    assert games.guesses == 5


def test_locations_that_were_guessed_before_come_last(world):
    root, entries = world
    for entry in entries[:4]:
        human_guesses.append(root / "guesses.csv", human_guesses.Guess("a", 1, entry.location_id, 0, 0, 1, 1, 1))
    games = games_of(root)
    one = games.start()
    shown = []
    for _ in range(3):
        shown.append(one.open().row)
        one.guess((0, 0), 1)
    assert sorted(shown) == [4, 5, 6]


def test_views_hold_no_metadata(world):
    root, entries = world
    one = games_of(root).start()
    entry = entries[one.open().row]
    kept = next((root / "tree" / "0" / entry.location_id).glob("*.jpg")).read_bytes()
    assert kept.count(entry.location_id.encode()) == 2
    for view in one.open().views:
        with Image.open(io.BytesIO(view)) as image:
            assert not image.getexif()
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert entry.location_id.encode() not in view


def test_locations_whose_images_are_missing_or_damaged_are_passed_over(world):
    root, entries = world
    for entry in entries[:3]:
        for path in (root / "tree" / "0" / entry.location_id).glob("*.jpg"):
            path.unlink()
    damaged = root / "tree" / "0" / entries[3].location_id / "90_2012-05.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    one = games_of(root).start()
    shown = []
    while (found := one.open()) is not None:
        shown.append(found.row)
        one.guess((0, 0), 1)
    assert sorted(shown) == [4, 5, 6]
    assert one.rounds == 3


def test_a_tree_of_other_locations_is_refused(world, tmp_path):
    drawn_runs.write_with_tree(tmp_path / "other", 2)
    (other,) = (tmp_path / "other" / "tree").glob("0")
    for number, folder in enumerate(sorted(other.iterdir())):
        folder.rename(other / f"1{number}.5,20.5")
    with pytest.raises(errors.RunError, match=r"no usable image of the 7 predicted locations(.|\n)*--imagery=TREE"):
        games_of(world[0], imagery=str(tmp_path / "other" / "tree"))


@pytest.mark.parametrize("content", ["{", "[]"])
def test_damaged_figures_are_named(world, content):
    (world[0] / "run" / "metrics.json").write_text(content)
    with pytest.raises(errors.RunError, match=r"metrics.json: is damaged(.|\n)*trainers.evaluate"):
        games_of(world[0])


def test_a_file_of_guesses_that_is_none_is_refused_before_the_game(world):
    root, _ = world
    (root / "guesses.csv").write_text("a,b\n1,2\n")
    with pytest.raises(errors.RunError, match=r"guesses.csv: line 1: the table has no column .game."):
        games_of(root)


def test_the_oldest_game_is_forgotten(world):
    games = games_of(world[0])
    names = [games.start().name for _ in range(65)]
    with pytest.raises(KeyError):
        games[names[0]]
    assert len(set(names)) == 65
    assert games[names[1]].name == names[1]


def test_rows_of_single_images_show_that_image_of_a_dataset(tmp_path, data_dir, tree_dir):
    ids = sorted(path.name for path in tree_dir.glob("*/*,*"))
    cells = partition.read(tree_dir / "partition.geojson")
    shares = np.full(len(cells), 1 / len(cells), np.float16)
    names = [f"{name}+180" for name in ids]
    places = [tuple(map(float, name.split(","))) for name in ids]
    found = [predictions.Prediction(name, at, at, shares) for name, at in zip(names, places, strict=True)]
    drawn_runs.write(tmp_path / "run", cells, found)
    options = flags.build(train_options.TrainOptions, data_dir="moved", config="random")
    (tmp_path / "run" / "flags.cfg").write_text(flags.to_flagfile(options), encoding="utf-8")
    (tmp_path / "run" / "metrics.json").write_text(json.dumps({"on": "test"}), encoding="utf-8")
    with pytest.raises(errors.RunError, match=r"moved(.|\n)*--data_dir=PATH"):
        games_of(tmp_path)
    shown = games_of(tmp_path, data_dir=str(data_dir)).start().open()
    assert shown.headings == [180]

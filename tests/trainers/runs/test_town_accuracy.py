"""Country accuracy: the nearest town on the sphere, whatever the longitude."""

import json

import numpy as np
import pytest

from geods import errors
from geods.geo import geometry, partition
from geods.geo.boundary import load
from tools import country_accuracy
from trainers.runs import distance_metrics, prediction_writer, run_folder, town_accuracy

HEADER = "lat,lon,name,admin1,admin2,cc\n"
TOWNS = [
    (70.0, 20.0, "Northville", "A", "1", "NO"),
    (68.0, 33.0, "Easton", "A", "1", "RU"),
    (-17.0, 179.9, "Islet", "B", "2", "FJ"),
    (48.1, 11.5, "Spring, Field", "A", "1", "DE"),
    (50.1, 8.7, "Spring, Field", "C", "1", "DE"),
]


@pytest.fixture
def table(tmp_path):
    lines = [",".join(f'"{value}"' for value in town) for town in TOWNS]
    (tmp_path / "towns.csv").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "towns.csv"


def test_each_point_belongs_to_the_nearest_town(table):
    rng = np.random.default_rng(0)
    coords = rng.uniform([40, -10], [85, 60], (500, 2))
    towns = town_accuracy.read(table)
    nearest = geometry.pairwise_km(coords, towns.coords).argmin(axis=1)
    # Degrees would give others here.
    assert (nearest != ((coords[:, None] - towns.coords) ** 2).sum(axis=-1).argmin(axis=1)).mean() > 0.1
    guesses = rng.permutation(coords)
    guessed = geometry.pairwise_km(guesses, towns.coords).argmin(axis=1)
    found = town_accuracy.accuracy(towns, coords, guesses)
    countries = np.array([town[5] for town in TOWNS])
    assert found["country"] == (countries[nearest] == countries[guessed]).mean()
    far = geometry.pairwise_km(coords, towns.coords).min(axis=1) > 100
    assert found["true_far_from_towns"] == found["predicted_far_from_towns"] == far.mean()


def test_regions_of_one_name_in_two_countries_are_two(table):
    towns = town_accuracy.read(table)
    truth, guesses = np.array([[70, 20], [48.1, 11.5], [-17, -179.9]]), np.array([[68, 33], [50, 8], [-17, 179]])
    found = town_accuracy.accuracy(towns, truth, guesses)
    assert (found["country"], found["region"], found["city"]) == (2 / 3, 1 / 3, 1 / 3)
    assert found["true_far_from_towns"] == 0


def test_a_table_of_geonames_is_the_same(table, tmp_path):
    rows = [
        ["1", name, name, "", str(lat), str(lon), "P", "PPL", cc, "", a1, a2] for lat, lon, name, a1, a2, cc in TOWNS
    ]
    lines = ["\t".join([*row, *[""] * 7]) for row in rows]
    (tmp_path / "cities.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found, expected = town_accuracy.read(tmp_path / "cities.txt"), town_accuracy.read(table)
    np.testing.assert_array_equal(found.coords, expected.coords)
    assert {level: codes.tolist() for level, codes in found.regions.items()} == {
        level: codes.tolist() for level, codes in expected.regions.items()
    }


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("a,b\n1,2\n", errors.OptionError, "no column lat"),
        ("lat,lon\n1,2\n", errors.OptionError, "no towns with a country or region"),
        ("lat,lon,cc\nx,2,DE\n", errors.OptionError, "is no table of towns"),
        ("lat,lon,cc\n1,2\n", errors.OptionError, "is no table of towns"),
        ("lat,lon,cc\n", errors.OptionError, "is no table of towns"),
        ("lat,lon,cc\n95,2,DE\n", errors.CoordinateError, "town"),
        ("", errors.OptionError, "is no table of towns"),
    ],
)
def test_other_tables_are_refused(tmp_path, text, error, match):
    (tmp_path / "towns.csv").write_text(text)
    with pytest.raises(error, match=match):
        town_accuracy.read(tmp_path / "towns.csv")


def test_the_program_prints_the_shares(table, tmp_path, capsys):
    cells = partition.Partition((load("world").shape,))
    truth = np.array([[70, 20], [48.1, 11.5], [-17, -179.9], [0, 0.0]])
    guesses = distance_metrics.Guesses(truth, np.zeros(4, int), truth + np.array([0.1, 0]), np.zeros((4, 1), int))
    metrics = {"constant_guess": {"point": [48, 11]}}
    with prediction_writer.writing(tmp_path / "run", 4, 1) as writer:
        writer.add(list("abcd"), guesses, np.ones((4, 1)))
        writer.metrics = metrics
    partition.write(cells, tmp_path / "run" / run_folder.PARTITION)
    assert json.loads((tmp_path / "run" / run_folder.METRICS).read_text()) == metrics
    country_accuracy.main(country_accuracy.Options(run_dir=str(tmp_path / "run"), towns=str(table)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["4", "locations,", "5", "towns", "model", "constant"]
    assert lines[1].split() == ["country", "100.0%", "50.0%"]
    assert lines[-1].split() == ["predicted", "far", "from", "towns", "25.0%", "0.0%"]
    with pytest.raises(errors.OptionError, match="--towns is empty"):
        country_accuracy.Options(run_dir="r")

"""The simulated world: repeatable images, headings, a geography to learn."""

import hashlib
import io
import subprocess
import sys

import checkout
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from geods import errors
from geods.geo import geometry
from geods.simulation import worlds
from geods.simulation.scenery import fields, palette, trees
from geods.tree import jpeg

SEATTLE = (47.6, -122.3)
MAINLAND = (26.0, 48.0, -122.0, -75.0)


@pytest.fixture(scope="module")
def world() -> worlds.World:
    return worlds.World(seed=0)


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)), dtype=np.float64)


def thumbnails(world: worlds.World, coords: np.ndarray) -> np.ndarray:
    """Pictures north and east of each location, `[n, 144]`.

    12 rows by 2 columns by 3 colours of each.
    """
    found = []
    for lat, lon in coords.tolist():
        views = [world.picture(world.place(lat, lon), heading, 60, 120) for heading in (0, 90)]
        found.append([np.asarray(view.resize((2, 12), Image.Resampling.BOX), dtype=float).ravel() for view in views])
    return np.array(found).reshape(len(coords), -1)


def neighbour_errors_km(world: worlds.World, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Distance of each test location to the training one with the most similar image."""
    seen, asked = thumbnails(world, train), thumbnails(world, test)
    nearest = ((asked[:, None] - seen[None]) ** 2).sum(axis=2).argmin(axis=1)
    return geometry.haversine_km(train[nearest], test)


def test_same_arguments_give_the_same_bytes(world):
    assert world.render(*SEATTLE, 90) == worlds.World(seed=0).render(*SEATTLE, 90)


def test_another_process_gives_the_same_bytes(world):
    code = (
        "import hashlib\nfrom geods.simulation import worlds\n"
        f"print(hashlib.sha256(worlds.World(seed=0).render({SEATTLE[0]}, {SEATTLE[1]}, 90)).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout.REPO, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(world.render(*SEATTLE, 90)).hexdigest()


def test_default_picture_is_a_whole_jpeg_of_600_by_300(world):
    content = world.render(*SEATTLE, 0)
    assert jpeg.check_jpeg(content, "picture") == (300, 600)
    assert 10_000 < len(content) < 100_000


@given(
    lat=st.floats(-90, 90),
    lon=st.floats(-180, 180),
    heading=st.floats(-720, 720),
    height=st.integers(8, 90),
    width=st.integers(8, 200),
)
@example(lat=90.0, lon=0.0, heading=0.0, height=8, width=8)
@example(lat=-90.0, lon=180.0, heading=359.999, height=8, width=900)
@example(lat=0.0, lon=0.0, heading=45.0, height=200, width=9)
@settings(max_examples=40, deadline=None)
def test_every_place_heading_and_size_gives_a_picture_of_exactly_that_size(world, lat, lon, heading, height, width):
    assert jpeg.check_jpeg(world.render(lat, lon, heading, height, width), "picture") == (height, width)


def test_headings_show_different_sides_of_one_place(world):
    north, east, south = (pixels(world.render(*SEATTLE, heading)) for heading in (0, 90, 180))
    for one, other in ((north, east), (east, south), (north, south)):
        assert np.abs(one - other).mean() > 5


def test_a_whole_turn_is_no_turn(world):
    assert world.render(*SEATTLE, 360) == world.render(*SEATTLE, 0)
    assert world.render(*SEATTLE, -90) == world.render(*SEATTLE, 270)


def test_turning_a_little_moves_the_picture_a_little(world):
    place = world.place(*SEATTLE)
    here, beside, away = (
        np.asarray(world.picture(place, heading).reduce(30), dtype=float) for heading in (40, 41, 130)
    )
    assert np.abs(here - beside).mean() < 0.5 * np.abs(here - away).mean()


def test_place_holds_what_all_its_views_share(world):
    place = world.place(*SEATTLE)
    assert 0 <= place.bearing_deg < 180
    assert 2008 <= int(place.date[:4]) <= 2023
    assert 1 <= int(place.date[5:]) <= 12
    assert set(place.traits) == set(fields.TRAITS)
    assert all(0 <= value <= 1 for value in place.traits.values())


def test_another_seed_is_another_world(world):
    assert world.render(*SEATTLE, 0) != worlds.World(seed=1).render(*SEATTLE, 0)


def test_there_is_no_seam_at_180_degrees(world):
    assert world.render(10, 180, 0, 60, 120) == world.render(10, -180, 0, 60, 120)
    lat = np.linspace(-89, 89, 50)
    east, west = (np.stack([lat, np.full(50, lon)], axis=1) for lon in (179.9999, -179.9999))
    geography = fields.Fields(seed=0)
    assert np.abs(geography.at(east) - geography.at(west)).max() < 1e-3


def test_fields_change_slowly_and_differ_over_a_continent():
    geography = fields.Fields(seed=0)
    rng = np.random.default_rng(0)
    coords = geometry.sample_box(*MAINLAND, 400, rng)
    traits = geography.at(coords)
    moved = geography.at(geometry.destination(coords, rng.uniform(0, 360, 400), 10.0))
    assert np.abs(traits - moved).max() < 0.1
    assert (traits.std(axis=0) > 0.05).all()


def test_the_north_is_colder_than_the_tropics():
    geography = fields.Fields(seed=0)
    lon = np.linspace(-180, 180, 100)
    warm, cold = (geography.at(np.stack([np.full(100, lat), lon], axis=1))[:, 0] for lat in (5.0, 62.0))
    assert warm.max() < cold.min()


def test_trees_follow_the_climate():
    base = dict.fromkeys(fields.TRAITS, 0.5)
    cold = trees.kinds(base | {"coldness": 1.0})
    desert = trees.kinds(base | {"coldness": 0.1, "moisture": 0.05})
    jungle = trees.kinds(base | {"coldness": 0.0, "moisture": 1.0})
    assert max(cold, key=cold.__getitem__) == "conifer"
    assert desert["cactus"] > 0.3
    assert jungle["palm"] > jungle["cactus"]
    assert sum(jungle.values()) == pytest.approx(1)


def test_snow_lies_in_cold_winters_only():
    base = dict.fromkeys(fields.TRAITS, 0.5)
    assert palette.of(base | {"coldness": 0.9}, winter=1.0).snow_share > 0.5
    assert palette.of(base | {"coldness": 0.2}, winter=1.0).snow_share == 0
    assert palette.of(base | {"coldness": 0.6}, winter=0.0).snow_share == 0


def test_pictures_tell_where_they_were_taken(world):
    rng = np.random.default_rng(0)
    train, test = geometry.sample_box(*MAINLAND, 250, rng), geometry.sample_box(*MAINLAND, 60, rng)
    found = np.median(neighbour_errors_km(world, train, test))
    random = np.median(geometry.haversine_km(train[rng.integers(250, size=60)], test))
    assert found < 0.6 * random


def test_difficulty_hides_the_geography():
    rng = np.random.default_rng(1)
    train, test = geometry.sample_box(*MAINLAND, 200, rng), geometry.sample_box(*MAINLAND, 60, rng)
    easy, hard = (neighbour_errors_km(worlds.World(0, difficulty), train, test).mean() for difficulty in (0.0, 1.0))
    assert easy < 0.8 * hard


def test_difficulty_zero_leaves_the_fields_as_they_are():
    place = worlds.World(seed=3, difficulty=0).place(*SEATTLE)
    assert list(place.traits.values()) == fields.Fields(seed=3).at([SEATTLE])[0].tolist()
    assert place.light == 1


@pytest.mark.parametrize("difficulty", [-0.1, 1.1, float("nan")])
def test_difficulty_out_of_range_is_refused(difficulty):
    with pytest.raises(errors.OptionError, match="is not between 0 and 1"):
        worlds.World(difficulty=difficulty)


@pytest.mark.parametrize(("height", "width"), [(0, 600), (300, 7), (300, 5000)])
def test_sizes_out_of_range_are_refused(world, height, width):
    with pytest.raises(errors.OptionError, match=f"{width} x {height} pixels cannot be drawn"):
        world.render(*SEATTLE, 0, height, width)


def test_a_heading_that_is_no_number_is_refused(world):
    with pytest.raises(errors.OptionError, match="heading nan"):
        world.render(*SEATTLE, float("nan"))


def test_swapped_coordinates_are_refused(world):
    with pytest.raises(errors.CoordinateError, match="look swapped"):
        world.render(-122.3, 47.6, 0)

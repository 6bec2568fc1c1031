"""Panoramas of a simulated world: by position and id, the same on every run.

Odd like the service.
"""

import base64
import collections
import math
import subprocess
import sys

import hypothesis
import pytest
import shapely
from hypothesis import strategies

from geods.geo import geometry
from geods.simulation import panoramas, worlds

MIDDLE = (39.5, -98.5)
EVERYWHERE = panoramas.Coverage(worlds.World(seed=3), land=lambda lat_deg, lon_deg: True)


def around(lat_deg: float, lon_deg: float, half_deg: float = 0.5) -> tuple[float, float, float, float]:
    return lat_deg - half_deg, lon_deg - half_deg, lat_deg + half_deg, lon_deg + half_deg


@pytest.fixture(scope="module")
def coverage() -> panoramas.Coverage:
    return panoramas.Coverage(worlds.World(seed=0))


@pytest.fixture(scope="module")
def degree(coverage) -> list[panoramas.CoveredPano]:
    """All panoramas of a degree by a degree, some thousands."""
    return list(coverage.within(around(*MIDDLE)))


def nearest_by_looking_at_all(coverage, lat_deg, lon_deg, radius_km, outdoor):
    """The result that `nearest` must have, by brute force and our own haversine."""
    half_lat = math.degrees(radius_km / geometry.EARTH_RADIUS_KM) + 0.001
    half_lon = min(180, half_lat / max(0.001, math.cos(math.radians(min(90, abs(lat_deg) + half_lat)))))
    found = {}
    for shift in (-360, 0, 360):
        box = (lat_deg - half_lat, lon_deg + shift - half_lon, lat_deg + half_lat, lon_deg + shift + half_lon)
        for pano in coverage.within(box):
            distance_km = float(geometry.haversine_km((lat_deg, lon_deg), (pano.lat_deg, pano.lon_deg)))
            if distance_km <= radius_km and not (outdoor and pano.indoor):
                found[pano] = distance_km
    return min(found.values(), default=None)


@hypothesis.settings(max_examples=150)
@hypothesis.given(
    lat_deg=strategies.floats(-89.9, 89.9),
    lon_deg=strategies.floats(-180, 180),
    radius_m=strategies.sampled_from([50, 500, 3000]),
    outdoor=strategies.booleans(),
)
@hypothesis.example(0.0, 180.0, 3000, True)
@hypothesis.example(0.0, -180.0, 3000, True)
@hypothesis.example(89.9, 12.0, 3000, True)
@hypothesis.example(-89.9, 12.0, 3000, True)
@hypothesis.example(40.0, 179.999, 3000, False)
def test_nearest_is_the_nearest_of_all(lat_deg, lon_deg, radius_m, outdoor):
    found = EVERYWHERE.nearest(lat_deg, lon_deg, radius_m, outdoor)
    least_km = nearest_by_looking_at_all(EVERYWHERE, lat_deg, lon_deg, radius_m / 1000, outdoor)
    if found is None:
        assert least_km is None
    else:
        distance_km = float(geometry.haversine_km((lat_deg, lon_deg), (found.lat_deg, found.lon_deg)))
        assert distance_km == pytest.approx(least_km, abs=1e-6)
        assert distance_km <= radius_m / 1000


def test_a_point_at_sea_has_none(coverage):
    assert coverage.nearest(0.0, -140.0, 10_000, outdoor=True) is None
    assert list(coverage.within(around(0.0, -140.0))) == []


def test_most_points_on_land_have_one_within_the_radius_of_the_report(coverage):
    hits = [coverage.nearest(lat, lon, 10_000, outdoor=True) for lat in range(34, 42) for lon in range(-110, -85)]
    assert sum(pano is not None for pano in hits) / len(hits) > 0.9


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg"), [(48.2, 16.4), (-33.5, 150.0), (9.0, 38.7), (-15.0, -60.0), (65.0, 179.9), (61.2, -149.9)]
)
def test_every_country_is_covered(coverage, lat_deg, lon_deg):
    points = [(lat_deg + 0.3 * row, lon_deg + 0.02 * row) for row in range(-6, 7)]
    found = [coverage.nearest(lat, lon, 10_000, outdoor=True) for lat, lon in points]
    assert sum(pano is not None for pano in found) > 9


def test_what_is_around_the_coarse_outline_is_out_of_reach_from_it(coverage):
    outline = panoramas._coarse_us()[0]
    alone = panoramas.Coverage(worlds.World(seed=0), land=lambda lat, lon: outline.contains(shapely.Point(lon, lat)))
    for lon, lat in outline.exterior.coords[::12]:
        assert coverage.nearest(lat, lon, 10_000, outdoor=False) == alone.nearest(lat, lon, 10_000, outdoor=False)
    assert coverage.nearest(49.3, -110.0, 10_000, outdoor=True) is not None


def test_neighbours_of_a_panorama_find_the_same_one(degree, coverage):
    pano = degree[0]
    near = [coverage.nearest(pano.lat_deg + step, pano.lon_deg, 50, outdoor=False) for step in (-1e-6, 0, 1e-6)]
    assert near == [pano] * 3


def test_every_panorama_is_found_by_its_id(degree, coverage):
    for pano in degree:
        assert coverage.by_id(pano.pano_id) == pano
    assert len({pano.pano_id for pano in degree}) == len(degree)


@pytest.mark.parametrize(
    "pano_id",
    [
        "",
        "a",
        "CI",
        "CI" + "A" * 24,
        "A" * 22,
        "_" * 22,
        "-" * 22,
        "A" * 21,
        "A" * 4000,
        "é" * 22,
        "../../etc/passwd",
        "a b",
    ],
)
def test_an_id_that_nobody_gave_out_is_none(coverage, pano_id):
    assert coverage.by_id(pano_id) is None


@hypothesis.given(raw=strategies.binary(min_size=0, max_size=24))
def test_a_made_up_id_is_none(raw):
    assert EVERYWHERE.by_id(base64.urlsafe_b64encode(raw).decode().rstrip("=")) is None


def test_an_id_with_one_character_changed_is_none(degree, coverage):
    for pano in degree[:50]:
        for at in range(len(pano.pano_id)):
            changed = pano.pano_id[:at] + ("A" if pano.pano_id[at] != "A" else "B") + pano.pano_id[at + 1 :]
            assert coverage.by_id(changed) is None


def test_an_id_of_another_world_is_none(degree):
    other = panoramas.Coverage(worlds.World(seed=1))
    assert [other.by_id(pano.pano_id) for pano in degree[:50]] == [None] * 50


def test_ids_look_like_those_of_the_service(degree):
    for pano in degree:
        assert len(pano.pano_id) == (22 if pano.official else 26)
        assert pano.official or pano.pano_id.startswith("CI")
        assert ("Google" in pano.copyright) == pano.official


def test_shares_of_oddities_are_those_that_were_measured(degree):
    count = len(degree)
    assert count > 2000
    assert sum(not pano.official for pano in degree) / count == pytest.approx(0.02, abs=0.01)
    assert sum(pano.indoor for pano in degree) / count == pytest.approx(0.01, abs=0.006)
    assert sum(pano.date is None for pano in degree) / count == pytest.approx(0.05, abs=0.015)
    assert len(collections.Counter(pano.copyright for pano in degree)) >= 5


def test_density_thins_the_panoramas_and_takes_none_to_another_place(degree):
    thin = set(panoramas.Coverage(worlds.World(seed=0), density=0.25).within(around(*MIDDLE)))
    assert thin < set(degree)
    assert len(thin) / len(degree) == pytest.approx(0.25, abs=0.05)


def test_land_decides_what_there_is():
    north = panoramas.Coverage(worlds.World(seed=0), land=lambda lat_deg, lon_deg: lat_deg > MIDDLE[0])
    found = list(north.within(around(*MIDDLE)))
    assert found
    assert min(pano.lat_deg for pano in found) > MIDDLE[0]


def test_another_process_finds_the_same(degree):
    code = (
        "from geods.simulation import panoramas, worlds\n"
        "coverage = panoramas.Coverage(worlds.World(seed=0))\n"
        f"print([repr(coverage.nearest({MIDDLE[0]} + step / 10, {MIDDLE[1]}, 10_000, True)) for step in range(5)])"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert "CoveredPano(pano_id=" in texts.pop()


def test_the_lattice_is_pinned(degree):
    """Another lattice is another world: old trees would not be found again."""
    first = min(degree, key=lambda pano: pano.pano_id)
    assert (first.pano_id, first.lat_deg, first.lon_deg) == ("CIGT0MXwKgo3kADnpcA-cnZ9rB", 39.2336348, -98.2240166)

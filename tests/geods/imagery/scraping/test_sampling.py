"""Where a scrape looks and which way: query points, distances, headings, dates."""

import csv

import drawn_source
import numpy as np
import pytest
import shapely
from drawn_scrape import CELLS as SCRAPED
from drawn_scrape import run
from scraper_soak import contents

from geods import errors
from geods.geo import geometry, partition
from geods.imagery.scraping import options, sampling, scrape_journal
from geods.tree import layouts

CELLS = partition.Partition((shapely.box(-100, 30, -98, 32), shapely.box(-98, 60, -90, 70)))


def point(cell, ordinal, seed=0):
    return sampling.Sampler(CELLS, seed).point(cell, ordinal)


def test_points_depend_on_seed_cell_and_ordinal_alone():
    first = [point(1, ordinal) for ordinal in range(20)]
    assert [point(1, ordinal) for ordinal in reversed(range(20))][::-1] == first
    assert len(set(first)) == 20
    assert point(1, 0, seed=1) != first[0]
    assert point(0, 0) != first[0]


def test_the_stream_is_the_same_on_every_machine():
    assert point(0, 0) == pytest.approx((31.1191003, -98.3655319), abs=1e-7)


def test_points_lie_in_the_cell_uniformly_by_area():
    drawn = np.array([point(1, ordinal, seed=7) for ordinal in range(3000)])
    assert (CELLS.label(drawn[:, 0], drawn[:, 1]) == 1).all()
    # By area, sin(lat) is uniform: its mean is that of the bounds.
    expected = (np.sin(np.radians(60)) + np.sin(np.radians(70))) / 2
    assert np.sin(np.radians(drawn[:, 0])).mean() == pytest.approx(expected, abs=0.0015)


def test_a_cell_that_is_none_is_refused():
    with pytest.raises(errors.PartitionError, match="cell 2 is not one of 0 to 1"):
        point(2, 0)


def test_near_given_points_the_density_falls_with_the_distance():
    towns, near_km = [(31.0, -99.0), (30.2, -98.2)], 20.0
    sampler = sampling.Sampler(CELLS, 0, towns, near_km)
    drawn = np.array([sampler.point(0, ordinal) for ordinal in range(600)])
    assert (CELLS.label(drawn[:, 0], drawn[:, 1]) == 0).all()
    share = np.mean([geometry.haversine_km(town, drawn) for town in towns], axis=1)
    away_km = np.min([geometry.haversine_km(town, drawn) for town in towns], axis=0)
    even = CELLS.sample(0, 20_000, np.random.default_rng(0))
    even_km = np.min([geometry.haversine_km(town, even) for town in towns], axis=0)
    weights = np.exp(-even_km / near_km)
    assert away_km.mean() == pytest.approx(np.average(even_km, weights=weights), rel=0.12)
    assert away_km.mean() < 0.6 * even_km.mean()
    assert share.all()
    # Far from all towns a cell is sampled all the same.
    assert sampler.point(1, 0) == sampling.Sampler(CELLS, 0, towns, near_km).point(1, 0)


@pytest.mark.parametrize(
    ("words", "road_deg", "wanted"),
    [
        (("0", "90", "180"), None, (0, 90, 180)),
        ((0, 90), None, (0, 90)),
        (("road", "road+180"), 359.6, (0, 180)),
        (("road", "44"), 44.4, (44, 45)),
    ],
)
def test_headings(words, road_deg, wanted):
    parsed = options.ScrapeOptions(out="tree", headings=words).parsed_headings
    assert sampling.headings(parsed, 0, "a", road_deg) == wanted


def test_random_headings_depend_on_seed_and_panorama_alone():
    parsed = options.ScrapeOptions(out="tree", headings=("random", "random", "random")).parsed_headings
    found = {(seed, name): sampling.headings(parsed, seed, name, None) for seed in (0, 1) for name in "abcdefgh"}
    assert all(len(set(views)) == 3 for views in found.values())
    assert len(set(found.values())) == len(found)
    assert sampling.headings(parsed, 0, "a", None) == found[0, "a"]
    many = [sampling.headings(parsed[:1], 0, str(name), None)[0] for name in range(800)]
    assert np.histogram(many, 4, (0, 360))[0].min() > 150


def positions(root):
    return np.array([(one.lat_deg, one.lon_deg) for one in layouts.read(root)])


def test_locations_keep_their_distance_whatever_the_threads(tmp_path):
    spread_km = 7.0
    trees = [tmp_path / name for name in ("one", "many")]
    for tree, workers in zip(trees, (1, 4), strict=True):
        result = run(tree, locations_per_cell=12, spread_km=spread_km, workers=workers)
    assert sum(row.misses.get("too_near", 0) for row in result.rows) > 0
    assert sum(row.misses.get("near_border", 0) for row in result.rows) > 0
    assert contents(trees[0]) == contents(trees[1])
    places = positions(trees[0])
    away_km = np.array([geometry.haversine_km(place, places) for place in places])
    assert away_km[~np.eye(len(places), dtype=bool)].min() >= spread_km
    assert len(places) > 20


@pytest.mark.parametrize("lon_deg", [180.0, -180.0])
def test_the_border_of_a_cell_on_the_other_side_of_the_antimeridian_counts(lon_deg):
    cells = partition.Partition((shapely.box(179, 60, 180, 61), shapely.box(-180, 60, -179, 61)))
    off_deg = 5 / (111.195 * np.cos(np.radians(60.5)))
    for spread_km, reason in ((4.97, ""), (5.03, "near_border")):
        assert sampling.crowding((60.5, -180 + off_deg), 1, cells, [], spread_km) == reason
        assert sampling.crowding((60.5, 180 - off_deg), 0, cells, [], spread_km) == ""


def test_views_along_the_road_and_at_random(tmp_path):
    result = run(tmp_path / "road", headings=("road", "road+180"))
    assert result.halt.reason == "complete"
    assert sum(row.misses.get("no_road", 0) for row in result.rows) > 0
    assert {tuple(view.heading_deg for view in one.views) for one in layouts.read(tmp_path / "road")} == {(45.0, 225.0)}
    run(tmp_path / "random", headings=("random",))
    assert len({one.views[0].heading_deg for one in layouts.read(tmp_path / "random")}) > 8
    with pytest.raises(errors.TreeError, match=r"headings was \['random'\], is \[0, 90, 180\]"):
        run(tmp_path / "random")


@pytest.mark.parametrize(
    ("dates", "wanted"),
    [
        (("newest",), {"2021-11"}),
        (("oldest",), {"2009-01"}),
        (("newest", "oldest"), {"2021-11", "2009-01"}),
        (("all",), {"2009-01", "2015-06", "2021-11"}),
    ],
)
def test_other_dates_of_a_place_are_in_its_folder(tmp_path, dates, wanted):
    client = drawn_source.DrawnSource(script=drawn_source.flaky(3))
    # The budget breaks it off in the middle of a place; the rest is then found and not paid again.
    assert run(tmp_path, client, dates=dates, max_cost=0.1, image_attempts=20).halt.reason == "budget"
    assert run(tmp_path, client, dates=dates, image_attempts=20).halt.reason == "complete"
    found = layouts.read(tmp_path)
    assert len(found) == 12
    for one in found:
        dates_of = {view.date for view in one.views}
        # Pictures without a date are all there is to add to.
        assert wanted - ({"2015-06"} if None in dates_of else set()) <= dates_of <= {*wanted, None}
        assert len(one.views) == 3 * len(dates_of)
    with open(tmp_path / "views.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*/*/*.jpg")}
    assert all((row["date"] in row["pano_id"]) == (":" in row["pano_id"]) for row in rows if row["date"])
    assert {row["sequence"] for row in rows if ":" in row["pano_id"]} == {
        f"drive of {row['pano_id'].split(':')[0]}" for row in rows if ":" in row["pano_id"]
    }
    arrived = [arrival.location for arrival in scrape_journal.complete_locations(tmp_path)]
    assert {one.location_id: one.views for one in arrived} == {one.location_id: one.views for one in found}
    assert client.images_sent == scrape_journal.read_status(tmp_path).units


def test_a_scrape_that_finds_nothing_stops_early(tmp_path):
    def nothing(kind, key, attempt):
        return drawn_source.source.Miss("zero_results")

    client = drawn_source.DrawnSource(script=nothing)
    result = run(tmp_path, client, lookups_in_vain=40, locations_per_cell=40)
    assert (result.halt.reason, result.halt.exit_code) == ("nothing_found", 6)
    assert "--api_base" in result.halt.detail
    assert 40 <= sum(row.lookups for row in result.rows) <= 60
    # The same command asks for as many again; what is found then counts.
    client.script = lambda kind, key, attempt: None
    assert run(tmp_path, client, lookups_in_vain=40, locations_per_cell=40, lookups_per_location=2).rows[0].got > 0
    client.script = nothing
    whole = run(tmp_path / "all", client, lookups_in_vain=0, locations_per_cell=4)
    assert sum(row.lookups for row in whole.rows) == 40 * len(SCRAPED)
    assert whole.halt.reason == "nothing_found"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"headings": ("north",)}, "--headings=north: must be different whole degrees from 0 to 359"),
        ({"headings": ("road+360",)}, r"--headings=road\+360"),
        ({"headings": ("random+5",)}, r"--headings=random\+5"),
        ({"headings": ("road", "road+0")}, "must be different"),
        ({"dates": ("latest",)}, "--dates=latest: must be newest, oldest, both or all"),
        ({"dates": ("all", "newest")}, "--dates=all,newest"),
        ({"spread_km": -1}, "--spread_km=-1: must be 0 or more"),
        ({"near_km": 0}, "--near_km=0: must be above 0"),
        ({"lookups_in_vain": -1}, "--lookups_in_vain=-1"),
        ({"spread_km": 1, "points": "a.csv"}, "--spread_km: has no effect with --points"),
        ({"dates": ("all",), "points": "a.csv"}, "--dates: has no effect with --points"),
    ],
)
def test_options_that_cannot_be(changes, says):
    with pytest.raises(errors.OptionError, match=says):
        options.ScrapeOptions(**({"out": "tree"} | changes))

"""Features as cells: names, slivers between neighbours, refusals."""

import json

import numpy as np
import pytest
import shapely

from geods import errors
from geods.geo import boundary, partition, regions

# Neighbours that overlap by a hundredth of a degree, and leave a gap of a hundredth between them further north.
WEST = shapely.Polygon([(0, 0), (10.01, 0), (10.01, 4), (9.99, 6), (10, 8), (10, 10), (0, 10)])
EAST = shapely.Polygon([(10, 0), (20, 0), (20, 10), (10, 10), (10, 8), (10, 6), (10, 4)])


@pytest.fixture
def states(tmp_path):
    def write(*shapes):
        features = [
            {
                "type": "Feature",
                "geometry": shape and shapely.geometry.mapping(shape),
                "properties": {"NAME": f"State {k}", "code": k},
            }
            for k, shape in enumerate(shapes)
        ]
        path = tmp_path / "states.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return boundary.Source(str(path))

    return write


def test_each_feature_is_a_cell_with_its_name(states):
    source = states(shapely.box(0, 0, 1, 1), None, shapely.box(1, 0, 2, 1), shapely.Point(0, 0))
    made, notes = regions.make(source, "NAME")
    assert made.names == ("State 0", "State 2")
    assert made.kind == "features"
    assert made.parameters == {"max_sliver": 0.001, "name_field": "NAME"}
    assert notes == ("1 features without geometry were skipped.", "1 features without area were skipped.")
    again = partition.Partition.from_geojson(made.to_geojson())
    assert again.names == made.names
    assert again.to_geojson() == made.to_geojson()
    assert regions.make(source, "code")[0].names == ("0", "2")
    assert regions.make(source)[0].names == ()
    with pytest.raises(errors.BoundaryError, match="has no field 'name'") as caught:
        regions.make(source, "name")
    assert caught.value.next_step == "choose one of the fields NAME, code"


def test_slivers_between_neighbours_are_closed(states):
    made, notes = regions.make(states(WEST, EAST))
    assert notes == ("1 overlaps and 1 gaps between cells, up to 0.1% of a cell, were closed.",)
    west, east = made.shapes
    assert west.intersection(east).area == 0
    assert west.union(east).equals(shapely.union(WEST, EAST).union(shapely.box(9.9, 3, 10.1, 9)))
    lon = np.linspace(9.95, 10.05, 101)
    assert (made.label(np.full(101, 5.5), lon) >= 0).all()


def test_overlaps_that_are_no_slivers_are_refused_with_names_place_and_share(states):
    source = states(shapely.box(0, 0, 10, 10), shapely.box(9, 0, 13, 10))
    with pytest.raises(errors.PartitionError, match=r"feature 0 and feature 1 overlap at 5.00000,9.50000: 25.00%"):
        regions.make(source)
    with pytest.raises(errors.PartitionError, match=r"State 0 and State 1 overlap") as caught:
        regions.make(source, "NAME")
    assert caught.value.next_step == "give it to State 0 with --max_sliver=0.28"
    made, _ = regions.make(source, max_sliver=0.28)
    assert [shape.bounds for shape in made.shapes] == [(0, 0, 10, 10), (10, 0, 13, 10)]
    with pytest.raises(errors.PartitionError, match=r"91\.84%") as caught:
        regions.make(states(shapely.box(0, 0, 10, 10), shapely.box(1, 0, 9, 10).union(shapely.box(9, 0, 10.8, 10))))
    assert "--where or --layer" in caught.value.next_step


def test_a_lake_and_a_country_left_out_stay_gaps(states):
    around = shapely.box(0, 0, 10, 10).difference(shapely.box(4, 4, 6, 6))
    made, _ = regions.make(states(around, shapely.box(10, 0, 20, 10)))
    assert made.label([5], [5]).tolist() == [-1]
    halves = [around.intersection(shapely.box(0, 0, 5, 10)), around.intersection(shapely.box(5, 0, 10, 10))]
    assert regions.make(states(*halves))[0].label([5], [5]).tolist() == [-1]


def test_broken_features_are_made_valid_and_wide_ones_read_back(states):
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    antarctica = shapely.Polygon([(-135, -70), (-45, -70), (45, -70), (135, -70)])
    made, _ = regions.make(states(bow_tie, antarctica))
    partition.check_area(made, float(made.areas_km2.sum()))
    assert made.label([-90, -75, 2], [33, 180, 9]).tolist() == [1, 1, 0]


@pytest.mark.parametrize("max_sliver", [-0.1, 0.6, float("nan")])
def test_a_share_out_of_range_is_refused(states, max_sliver):
    with pytest.raises(errors.OptionError, match=r"must be from 0 to 0\.5"):
        regions.make(states(WEST), max_sliver=max_sliver)


def test_what_has_no_features_is_refused(states):
    with pytest.raises(errors.OptionError, match="boundary=demo is one polygon"):
        regions.make(boundary.Source("demo"))
    with pytest.raises(errors.BoundaryError, match="holds no polygon with an area"):
        regions.make(states(shapely.Point(0, 0)))

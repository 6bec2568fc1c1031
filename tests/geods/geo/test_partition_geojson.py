"""Partition files of others: accepted and refused."""

import json
import math

import pytest
import shapely

from geods import errors
from geods.geo import partition_geojson

LEFT, RIGHT = shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)
HEADER = {"kind": "fishnet", "parameters": {}, "boundary_sha256": "", "format_version": 1}


def collection(*shapes, **members) -> str:
    features = [{"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": {}} for shape in shapes]
    return json.dumps({"type": "FeatureCollection", "features": features} | members)


def with_geometry(geometry) -> str:
    return json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": geometry}]})


def test_reads_back_what_it_writes():
    member = {"kind": "polygons", "parameters": {"b": [1.5], "a": None}, "boundary_sha256": "ff"}
    content = partition_geojson.dumps([LEFT, RIGHT], [{"cell": 0}, {"cell": 1}], member)
    shapes, read_member = partition_geojson.loads(content)
    assert shapes == [LEFT, RIGHT]
    assert read_member == member
    assert len(content.decode().splitlines()) == 6


def test_members_are_in_order_of_their_names():
    content = partition_geojson.dumps([LEFT], [{"cell": 0, "area_km2": 1.0}], {"kind": "polygons"}).decode()
    assert content == (
        '{"features":[\n'
        '{"geometry":{"coordinates":[[[1.0,0.0],[1.0,1.0],[0.0,1.0],[0.0,0.0],[1.0,0.0]]],"type":"Polygon"},'
        '"properties":{"area_km2":1.0,"cell":0},"type":"Feature"}\n'
        '],\n"geods":{"format_version":1,"kind":"polygons"},\n"type":"FeatureCollection"}\n'
    )


def test_polygons_of_other_programs_are_cells_in_their_order():
    shapes, member = partition_geojson.loads(collection(RIGHT, LEFT, crs={"type": "name"}))
    assert shapes == [RIGHT, LEFT]
    assert member == {}


def test_cells_over_the_antimeridian_are_cut():
    (shape,), _ = partition_geojson.loads(collection(shapely.box(179, 0, 181, 1)))
    assert shape.equals(shapely.MultiPolygon([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)]))


def test_slivers_between_borders_with_other_vertices_are_allowed():
    bent = shapely.Polygon([(1, 0), (2, 0), (2, 1), (1, 1), (1 - 1e-9, 0.5)])
    assert len(partition_geojson.loads(collection(LEFT, bent))[0]) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("<html>", "not JSON"),
        ("[1]", "not a GeoJSON FeatureCollection"),
        ('{"type": "Feature"}', "not a GeoJSON FeatureCollection"),
        ('{"type": "FeatureCollection"}', "without features"),
        ('{"type": "FeatureCollection", "features": []}', "without features"),
        ('{"type": "FeatureCollection", "features": {"a": 1}}', "without features"),
        ('{"type": "FeatureCollection", "features": [3]}', "cell 0 has no readable geometry"),
        ('{"type": "FeatureCollection", "features": [{}]}', "cell 0 has no readable geometry"),
        (with_geometry(None), "cell 0 has no readable geometry"),
        (with_geometry({"type": "Polygon"}), "cell 0 has no readable geometry"),
        (with_geometry({"type": "Polygon", "coordinates": [[[0, 0], [1]]]}), "cell 0 has no readable geometry"),
        (with_geometry({"type": "Polygon", "coordinates": "x"}), "cell 0 has no readable geometry"),
        (with_geometry({"type": "Circle", "coordinates": []}), "cell 0 has no readable geometry"),
        (collection(LEFT, shapely.Point(5, 5)), "cell 1 is a Point, not a polygon"),
        (collection(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])), "cell 0 is broken: Self-intersection"),
        (collection(shapely.box(24, -124, 49, -66)), "cell 0: longitude .* look swapped"),
        (collection(shapely.box(5e5, 4e6, 6e5, 5e6)), "cell 0: longitude .* look projected"),
        (
            with_geometry({"type": "Polygon", "coordinates": [[[0, 0], [math.inf, 0], [1, 1], [0, 0]]]}),
            "cell 0: a coordinate is not a finite number",
        ),
        (collection(LEFT, shapely.box(0.9, 0, 2, 1)), "cells 0 and 1 overlap"),
        (collection(RIGHT, LEFT, LEFT), "cells 1 and 2 overlap"),
        (collection(shapely.box(0, 0, 9, 9), LEFT), "cells 0 and 1 overlap"),
        (collection(LEFT, geods=3), "geods member holds no format_version"),
        (collection(LEFT, geods={}), "geods member holds no format_version"),
        (collection(LEFT, geods=HEADER | {"format_version": 2}), "format_version 2 is newer .* reads up to 1"),
        (collection(LEFT, geods=HEADER | {"parameters": []}), "geods member has no parameters of type dict"),
        (collection(LEFT, geods={"format_version": 1}), "geods member has no kind of type str"),
    ],
)
def test_broken_files_say_what_is_wrong(content, message):
    with pytest.raises(errors.PartitionError, match=message):
        partition_geojson.loads(content)

"""The scale benchmark at its smallest: trees, limits, label lookups."""

import json

import pytest

from geods import errors
from geods.tree import imagery_tree
from tools import benchmark_kernel, benchmark_scale
from tools.benchmarks import trees


def test_a_tiny_tree_is_a_tree_of_so_many_locations(tmp_path):
    places = imagery_tree.read(trees.tiny(tmp_path / "tree", 130))
    assert len(places) == 130
    assert {len(place.views) for place in places} == {1}


def test_sizes_must_grow():
    for sizes in ((1000,), (1000, 1000), (10, 1000)):
        with pytest.raises(errors.OptionError, match="growth needs two sizes"):
            benchmark_scale.Options(sizes=sizes)


def test_lookups_and_figures_are_measured_in_processes_of_their_own(tmp_path):
    few, many = (list(benchmark_scale.lookups(tmp_path, points, 2000)) for points in (1_000_000, 3_000_000))
    assert [one.name for one in many] == ["labels of 3,000,000 points", "figures of 2,000 predictions"]
    assert all(one.seconds > 0 for one in few + many)
    # Three times the points, in the memory of one part of them.
    assert many[0].peak_rss_mb < 1.15 * few[0].peak_rss_mb


def test_an_unknown_program_is_told(tmp_path):
    with pytest.raises(errors.OptionError, match=r"fly is none of them.\nNext: choose from build, compare, extract"):
        benchmark_scale.main(benchmark_scale.Options(programs=("build", "fly"), work_dir=str(tmp_path)))


def test_drawn_textures_say_where_they_are(tmp_path):
    benchmark_kernel.main(benchmark_kernel.Options(300, most_places=100, test=100, work_dir=str(tmp_path)))
    line = json.loads((tmp_path / "kernel.jsonl").read_text())
    # The middle of the box is 900 miles off.
    assert 300 < line["mean_miles"] < 700

"""The program: the report's command, and one short answer to each mistake."""

import json
import os
import re
import subprocess

import checkout
import pytest
import starts

from geods import errors
from geods.geo import partition
from tools import make_partition

CENSUS = checkout.SHARED / "data" / "census" / "cb_2018_us_nation_5m.zip"


def run(*words: str, **environment) -> subprocess.CompletedProcess:
    return starts.run(["-m", "tools.make_partition", *words], os.environ | environment)


@pytest.fixture
def squares(tmp_path):
    def feature(west, name):
        ring = [[west, 0], [west + 4, 0], [west + 4, 4], [west, 4], [west, 0]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        return {"type": "Feature", "properties": {"NAME": name}, "geometry": polygon}

    path = tmp_path / "squares.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature(0, "A"), feature(10, "B")]}))
    return path


@pytest.mark.skipif(not CENSUS.exists(), reason="needs the Census Bureau's nation file in ../shared")
def test_the_reports_command_gives_243_cells(tmp_path):
    out = tmp_path / "partition.geojson"
    done = run("--boundary=../shared/data/census/cb_2018_us_nation_5m.zip", f"--out={out}")
    assert done.returncode == 0, done.stderr
    # A busy machine takes longer than the 2 s after which progress is shown.
    assert re.sub(r"columns: .*", "", done.stderr).strip() == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "cells          243"
    assert lines[2] == "diagonal       5,629 km (3,498 miles)"
    assert lines[3].startswith("smallest cell  3,620 km2 (cell ")
    assert lines[4].startswith("largest cell   43,954 km2 (cell ")
    assert lines[-2] == f"written        {out}"
    assert lines[-1].startswith("next: python -m tools.import_images ")
    assert len(partition.read(out)) == 243


def test_flags_choose_feature_part_and_size(squares, tmp_path):
    out = tmp_path / "out.geojson"
    done = run(
        f"--boundary={squares}", f"--out={out}", "--where=NAME=B", "--part=all", "--cell_deg=1", "--merge_below=0"
    )
    assert done.returncode == 0, done.stderr
    made = partition.read(out)
    assert len(made) == 16
    assert made.bounds == (0, 4, 10, 14)
    assert made.parameters == {"cell_deg": 1.0, "merge_below": 0.0, "part": "all", "where": "NAME=B"}
    run(f"--boundary={squares}", f"--out={out}", "--center=2,2")
    assert partition.read(out).bounds == (0, 4, 0, 4)


@pytest.mark.parametrize(
    ("words", "kind", "cells"),
    [
        (["--boundary=demo"], "fishnet", 245),
        (["--boundary=world", "--cells=equal_area", "--cell_deg=10"], "equal_area", 412),
        (["--boundary=demo", "--cells=h3", "--h3_resolution=1"], "h3", 25),
    ],
)
def test_no_file_is_needed(tmp_path, words, kind, cells):
    done = run(*words, f"--out={tmp_path / 'out.geojson'}")
    assert done.returncode == 0, done.stderr
    made = partition.read(tmp_path / "out.geojson")
    assert (made.kind, len(made)) == (kind, cells)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--boundary=missing.zip"], "missing.zip: does not exist"),
        (["--center=50,60"], "the center (50, 60) lies in none"),
        (["--center=-98.35,39.5"], "look swapped"),
        (["--center=2"], "--center=2 is not two numbers"),
        (["--where=NAME=C"], "no feature has NAME=C"),
        (["--cell_deg=0"], "cell_deg=0 must be above 0"),
        (["--merge_below=1"], "merge_below=1 must be from 0"),
        (["--part=most"], "part='most' is unknown"),
        (["--part=near:0"], "part='near:0' is unknown"),
        (["--join_within_km=-1"], "join_within_km=-1 must be from 0"),
        (["--nearest_km=501"], "nearest_km=501 must be from 0"),
        (["--max_sliver=2"], "max_sliver=2 must be from 0"),
        (["--name_field=NAME"], "boxes have no names"),
        (["--cells=features", "--name_field=QQ"], "has no field 'QQ'"),
        (["--cells=h3", "--h3_resolution=-1"], "h3_resolution=-1 must be from 0"),
        (["--layer=QQ"], "has no layer 'QQ'"),
        (["--boundary=us"], "cb_2018_us_nation_5m.zip: not downloaded"),
        (["word"], "unexpected words: word"),
    ],
)
def test_mistakes_get_one_short_answer_and_leave_nothing(squares, tmp_path, words, message):
    out = tmp_path / "new" / "out.geojson"
    offline = {"GEODS_CACHE": str(tmp_path / "cache"), "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    boundary = [] if words[0].startswith("--boundary") else [f"--boundary={squares}"]
    done = run(*boundary, f"--out={out}", *words, **offline)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 12
    assert done.stdout == ""
    assert not out.parent.exists()


def test_verbosity_shows_the_traceback(tmp_path):
    done = run("--boundary=missing.zip", f"--out={tmp_path / 'out'}", "--verbosity=1")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_options_check_themselves():
    assert make_partition.Options().center_deg == (39.5, -98.35)
    with pytest.raises(errors.OptionError, match=r"--center=a,b is not two numbers"):
        make_partition.Options(center=("a", "b"))
    with pytest.raises(errors.CoordinateError, match="look swapped"):
        make_partition.Options(center=("-98.35", "39.5"))
    with pytest.raises(errors.OptionError, match="cell_deg=0"):
        make_partition.Options(cell_deg=0)


def test_features_become_cells_with_names(squares, tmp_path):
    out = tmp_path / "out.geojson"
    done = run(f"--boundary={squares}", f"--out={out}", "--cells=features", "--name_field=NAME", "--nearest_km=25")
    assert done.returncode == 0, done.stderr
    assert "smallest cell  197,669 km2 (cell 0, A, around 2.00,2.00)" in done.stdout
    made = partition.read(out)
    assert (made.names, made.kind) == (("A", "B"), "features")
    # 11 and 33 km east of the first square.
    assert made.label([2, 2], [4.1, 4.3]).tolist() == [0, -1]
    assert made.label([2], [4.1], nearest_km=0).tolist() == [-1]


@pytest.mark.parametrize("words", [["--where=NAME=A,B"], ["--where=NAME=A", "--where=NAME=B"]])
def test_several_values_are_chosen(squares, tmp_path, words):
    out = tmp_path / "out.geojson"
    done = run(f"--boundary={squares}", f"--out={out}", "--part=all", *words)
    assert done.returncode == 0, done.stderr
    assert partition.read(out).bounds == (0, 4, 0, 14)


def test_notes_are_printed(tmp_path):
    path, out = tmp_path / "island.geojson", tmp_path / "out.geojson"
    ring = [[179.8, -16.5], [-179.8, -16.5], [-179.8, -16.3], [179.8, -16.3], [179.8, -16.5]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    done = run(f"--boundary={path}", f"--out={out}", "--part=largest")
    assert done.returncode == 0, done.stderr
    assert "note           the edge from longitude -179.8 to 179.8" in done.stdout
    assert "area           949 km2" in done.stdout

"""A tree on its partition: labels, disagreements, the partition of a tree."""

import hashlib
import json

import drawn_trees
import pytest

from geods import errors
from geods.geo import partition
from geods.tree import companions, fingerprint, imagery_tree, jpeg, labelling, layouts, table

INSIDE, ELSEWHERE, OUTSIDE = "31.5,-115.25", "31.5,-105.25", "60.5,-115.25"


@pytest.fixture
def locations(tmp_path) -> table.LocationTable:
    for location_id, cell in ((INSIDE, 0), (ELSEWHERE, 0), (OUTSIDE, 3)):
        drawn_trees.write(tmp_path / "tree", [location_id], cell)
    return layouts.read(tmp_path / "tree")


def test_labels_come_from_coordinates(locations):
    labels = labelling.label(locations, drawn_trees.cells())
    assert dict(zip([place.location_id for place in locations], labels.cells.tolist(), strict=True)) == {
        INSIDE: 0,
        ELSEWHERE: 1,
        OUTSIDE: -1,
    }
    assert [(place.location_id, cell) for place, cell in labels.disagreements] == [(ELSEWHERE, 1)]
    assert [place.location_id for place in labels.outside] == [OUTSIDE]


def test_summary_counts_and_names_the_first(locations):
    assert labelling.summary(labelling.label(locations, drawn_trees.cells()), 15) == (
        "  3 locations, 9 views, in 2 of 15 cells\n"
        "  locations whose folder number is not the cell of their coordinates: 1 "
        "(first: 31.5,-105.25 in folder 0 lies in cell 1)\n"
        "  locations outside every cell: 1 (first: 60.5,-115.25)"
    )


def test_a_location_without_a_folder_number_cannot_disagree(tmp_path):
    drawn_trees.write(tmp_path, [ELSEWHERE], 5)
    place = imagery_tree.read_location(tmp_path / "5" / ELSEWHERE, ELSEWHERE, None)
    assert labelling.label(table.LocationTable(tmp_path, [place]), drawn_trees.cells()).disagreements == []


def test_all_outside_is_an_error_that_knows_swapped_names(tmp_path):
    drawn_trees.write(tmp_path / "far", [OUTSIDE])
    with pytest.raises(
        errors.CoordinateError, match=r"none of the 1 locations lies in the partition \(latitude 30.00 to"
    ):
        labelling.label(layouts.read(tmp_path / "far"), drawn_trees.cells())
    east = partition.Partition(tuple(drawn_trees.shapely.box(lon, 48, lon + 4, 52) for lon in (2, 6)))
    drawn_trees.write(tmp_path / "swapped", ["2.35,48.85"])
    with pytest.raises(errors.CoordinateError, match="latitude and longitude look swapped"):
        labelling.label(layouts.read(tmp_path / "swapped"), east)


def test_partition_of_a_tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GEODS_PARTITION", raising=False)
    root = tmp_path / "tree"
    root.mkdir()
    with pytest.raises(
        errors.MissingFileError, match=r"no partition: there is no .*\nNext: python -m tools.make_partition"
    ):
        companions.TreeFolder(root).find_partition()
    (tmp_path / "partition.geojson").touch()
    assert companions.TreeFolder(root).find_partition().resolve() == tmp_path / "partition.geojson"
    monkeypatch.setenv("GEODS_PARTITION", str(tmp_path / "named"))
    with pytest.raises(errors.MissingFileError, match=r"named: does not exist.\nNext: correct \$GEODS_PARTITION"):
        companions.TreeFolder(root).find_partition()
    (tmp_path / "named").touch()
    assert companions.TreeFolder(root).find_partition() == tmp_path / "named"
    (root / "partition.geojson").touch()
    assert companions.TreeFolder(root).find_partition() == root / "partition.geojson"


def test_provenance(tmp_path):
    assert companions.TreeFolder(tmp_path).provenance() == companions.Provenance("unknown", "unknown")
    path = tmp_path / "provenance.json"
    path.write_text(json.dumps({"source": "drawn", "licence": "CC0-1.0"}))
    assert companions.TreeFolder(tmp_path).provenance() == companions.Provenance("drawn", "CC0-1.0")
    for content in ("", "[]", '{"source": "x"}', '{"source": 1, "licence": "y"}'):
        path.write_text(content)
        with pytest.raises(errors.TreeError, match=r"provenance\.json: is not a JSON object with the texts"):
            companions.TreeFolder(tmp_path).provenance()


def fingerprint_of(root, facts) -> str:
    return fingerprint.fingerprint((fact.name_below(root), fact.sha256) for fact in facts)


def test_fingerprint_is_of_relative_paths_and_contents(tmp_path, locations):
    root = tmp_path / "tree"
    facts = jpeg.check_files(imagery_tree.view_paths(locations))
    digest = fingerprint_of(root, facts)
    lines = [
        f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in root.rglob("*.jpg")
    ]
    assert digest == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    assert fingerprint_of(root, facts[::-1]) == digest
    root.rename(tmp_path / "moved")
    moved = jpeg.check_files(imagery_tree.view_paths(imagery_tree.read(tmp_path / "moved")))
    assert fingerprint_of(tmp_path / "moved", moved) == digest
    changed = moved[0].path
    changed.write_bytes(changed.read_bytes() + b"\0")
    again = jpeg.check_files([fact.path for fact in moved])
    assert fingerprint_of(tmp_path / "moved", again) != digest


def test_duplicates_are_good_images_with_the_same_bytes(tmp_path):
    for name, content in (("a", b"x"), ("b", b"x"), ("c", drawn_trees.jpeg(1)), ("d", drawn_trees.jpeg(1))):
        (tmp_path / name).write_bytes(content)
    (group,) = fingerprint.duplicates(jpeg.check_files(sorted(tmp_path.iterdir())))
    assert [path.name for path in group] == ["c", "d"]

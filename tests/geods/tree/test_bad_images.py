"""Bad images are refused, left out or moved aside, each with its reason.

Changes since a recorded hash are found.
"""

import json
import pathlib
import random

import drawn_trees
import mutants
import pytest
import zoo

from geods import errors
from geods.dataset import build_plan, recorded_hashes, splits
from geods.geo import partition
from geods.storage import checksums
from geods.tree import bad_images, companions, jpeg, layouts, table
from tools import check_tree

IDS = drawn_trees.location_ids(6)
ACTIONS = ("raise", "skip", "quarantine")


def test_the_zoo_has_its_cases():
    assert len(zoo.animals()) >= 33


@pytest.mark.parametrize("name", zoo.animals())
def test_every_animal_is_taken_or_refused_with_name_and_reason(tmp_path, name):
    content, refused = zoo.animals()[name]
    path = tmp_path / "90_2012-05.jpg"
    path.write_bytes(content)
    fact = jpeg.check_file(path)
    if refused is None:
        assert fact.problem == ""
        return
    with pytest.raises(errors.ImageError, match=rf"1 of 1 images cannot be used:\n  90_2012-05\.jpg: .*({refused})"):
        jpeg.check_facts([fact], tmp_path, "")


def test_bombs_take_no_memory(tmp_path):
    rise_mb, refused = zoo.peak_rise_mb(tmp_path)
    assert refused == len(zoo.bombs())
    assert rise_mb < 50


def write_tree(root: pathlib.Path) -> pathlib.Path:
    drawn_trees.write(root, IDS)
    partition.write(drawn_trees.cells(), root / "partition.geojson")
    return root


def spoil(root: pathlib.Path) -> list[pathlib.Path]:
    """Makes all views of the first place and one of the second bad."""
    paths = sorted(root.rglob("*.jpg"))
    first = [path for path in paths if path.parent.name == paths[0].parent.name]
    other = next(path for path in paths if path not in first)
    for path in [*first, other]:
        path.write_bytes(zoo.HTML)
    return [*first, other]


def plan(root: pathlib.Path, action: str, share: float = 0.5) -> build_plan.Plan:
    return build_plan.make(companions.TreeFolder(root), splits.Request("random"), bad_images.Policy(action, share))


def test_bad_images_are_left_out_or_moved_and_all_are_named(tmp_path, capsys):
    skipped, moved = write_tree(tmp_path / "skipped"), write_tree(tmp_path / "moved")
    bad = [path.relative_to(skipped) for path in spoil(skipped)]
    spoil(moved)
    with pytest.raises(errors.ImageError, match=r"4 of 18 images cannot be used:\n  0/.*: is a web page"):
        plan(skipped, "raise")
    made = plan(skipped, "skip")
    told = capsys.readouterr().out
    assert all(f"    {name}: is a web page (HTML or XML)" in told for name in bad)
    views = [view for places in made.by_split.values() for place, _ in places for view in place.views]
    assert len(views) == 14
    assert not {view.path.relative_to(skipped) for view in views} & set(bad)
    assert made.metadata["locations"] == "5"
    assert set(made.metadata["sources"]["left_out"]) == set(map(str, bad))
    plan(moved, "quarantine")
    aside = tmp_path / "moved.quarantine"
    for name in bad:
        assert not (moved / name).exists()
        assert (aside / name).read_bytes() == zoo.HTML
        reason = (aside / f"{name}.reason.txt").read_text()
        assert reason.startswith(f"{moved / name}\nis a web page")
    assert f"are moved to {aside}" in capsys.readouterr().out
    assert plan(moved, "raise").sources == plan(moved, "quarantine").sources


def test_nothing_is_lost_when_the_same_name_goes_bad_twice(tmp_path):
    root = write_tree(tmp_path / "tree")
    path = next(root.rglob("*.jpg"))
    for content in (b"first", b"second"):
        path.write_bytes(content)
        plan(root, "quarantine")
        path.write_bytes(drawn_trees.jpeg(77))
    aside = tmp_path / "tree.quarantine" / path.relative_to(root)
    assert aside.read_bytes() == b"first"
    assert aside.with_name(f"{path.stem}.2.jpg").read_bytes() == b"second"


@pytest.mark.parametrize("action", ["skip", "quarantine"])
def test_too_many_bad_images_are_an_error_and_stay_where_they_are(tmp_path, action):
    root = write_tree(tmp_path / "tree")
    bad = spoil(root)
    with pytest.raises(errors.ImageError, match=r"4 of 18 images(.|\n)*max_bad_fraction=0\.22"):
        plan(root, action, 0.2)
    assert all(path.is_file() for path in bad)


def test_images_of_a_table_are_not_moved(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"bad")
    facts = jpeg.check_files([tmp_path / "a.jpg"])
    with pytest.raises(errors.OptionError, match=r"is a table(.|\n)*use skip"):
        bad_images.settle(
            facts, 1, companions.TreeFolder(tmp_path / "table.csv"), bad_images.Policy("quarantine", 1), ""
        )


def test_a_quarantine_that_cannot_be_written_is_named(tmp_path):
    root = write_tree(tmp_path / "tree")
    spoil(root)
    (tmp_path / "tree.quarantine").write_text("a file")
    with pytest.raises(errors.TreeError, match=r"cannot be moved to .*tree\.quarantine"):
        plan(root, "quarantine")


def test_the_environment_says_what_to_do(monkeypatch):
    monkeypatch.delenv(bad_images.ACTION_VARIABLE, raising=False)
    assert bad_images.Policy.from_environment() == bad_images.Policy("raise", 0.01)
    monkeypatch.setenv(bad_images.ACTION_VARIABLE, "skip")
    monkeypatch.setenv(bad_images.FRACTION_VARIABLE, "0.25")
    assert bad_images.Policy.from_environment() == bad_images.Policy("skip", 0.25)
    for name, value in ((bad_images.ACTION_VARIABLE, "ignore"), (bad_images.FRACTION_VARIABLE, "many")):
        monkeypatch.setenv(name, value)
        with pytest.raises(errors.OptionError, match=rf"GEODS_.*{value}(.|\n)*set GEODS_ON_BAD_IMAGE"):
            bad_images.Policy.from_environment()
        monkeypatch.setenv(bad_images.ACTION_VARIABLE, "skip")
    with pytest.raises(errors.OptionError, match="max_bad_fraction=2: is not a share"):
        bad_images.Policy("skip", 2)


def facts_of(root: pathlib.Path) -> table.ImageTable:
    locations = layouts.read(root)
    return recorded_hashes.compare(
        companions.TreeFolder(root), table.ImageTable(jpeg.checked(locations.paths), locations)
    )


def test_every_mutant_of_a_recorded_tree_is_found_and_named(tmp_path):
    root = write_tree(tmp_path / "tree")
    check_tree.main(check_tree.Options(tree=str(root), record=True))
    assert not any(fact.problem for fact in facts_of(root))
    rng, kept = random.Random(0), {path: path.read_bytes() for path in root.rglob("*.jpg")}
    for _ in range(20):
        for path, content in kept.items():
            path.write_bytes(mutants.mutate(content, rng))
        problems = [fact.problem for fact in facts_of(root)]
        assert all("has changed since images.sha256 recorded its SHA-256" in problem for problem in problems), problems
    with pytest.raises(errors.ImageError, match="18 of 18 images cannot be used"):
        plan(root, "raise")


def test_hashes_of_a_scrape_and_an_import_are_found(tmp_path):
    root = write_tree(tmp_path / "tree")
    path = sorted(root.rglob("*.jpg"))[0]
    name, other = path.relative_to(root).as_posix(), sorted(root.rglob("*.jpg"))[1].relative_to(root).as_posix()
    (root / "views.csv").write_text(f"file,pano_id,sha256\n{json.dumps(name)},x,00\n{json.dumps(other)},y,11\n")
    changed = {fact.path: fact.problem for fact in facts_of(root) if fact.problem}
    assert changed == {
        root / name: "has changed since views.csv recorded its SHA-256",
        root / other: "has changed since views.csv recorded its SHA-256",
    }
    (root / "images.sha256").write_text(f"{'0' * 64}  {name}\n{'1' * 64}  gone.jpg\n")
    assert "views.csv" in facts_of(root)[0].problem
    (root / "images.sha256").unlink()
    (root / other).unlink()
    assert recorded_hashes.missing(companions.TreeFolder(root), facts_of(root)) == [other]


@pytest.mark.parametrize("name", ["images.sha256", "import.sqlite", "journal.sqlite", "views.csv"])
def test_damaged_records_are_named(tmp_path, name):
    root = write_tree(tmp_path / "tree")
    (root / name).write_bytes(b"\xff\xfe nonsense \x00")
    with pytest.raises(errors.TreeError, match=name):
        facts_of(root)
    (root / "images.sha256").write_text("no hash  a.jpg\n")
    with pytest.raises(errors.TreeError, match=r"images\.sha256 line 1: is not <SHA-256>  <file>"):
        checksums.read(root / "images.sha256")

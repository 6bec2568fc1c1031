"""The leaderboard end to end on a small dataset, twice."""

import json

import pytest
import road

from geods import errors
from tools import leaderboard


@pytest.fixture(scope="module")
def board(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    features = folder / "shallow.cfg"
    features.write_text("--layer=block1_conv1\n--pooling=avg\n")
    for name, rate in (("quick", 0.05), ("slow", 1e-6)):
        (folder / f"{name}.cfg").write_text(f"--head=linear\n--epochs=4\n--learning_rate={rate}\n")
    recipes = ",".join(f"{folder / name}.cfg@{features}" for name in ("quick", "slow"))
    flags = (f"--data_dir={data_dir}", "--config=random", f"--recipes={recipes}", "--folds=2", *road.SIZE)
    flags += ("--backbone=report_cnn", "--backbone_weights=random", f"--out={folder / 'out'}")
    return folder / "out", flags, road.program("tools.leaderboard", *flags)


def test_the_table_compares_the_recipes_on_all_locations(board):
    out, _, done = board
    rows = {row["name"]: row for row in json.loads((out / "leaderboard.json").read_text())}
    assert rows["quick"]["locations"] == rows["slow"]["locations"] == road.LOCATIONS
    assert rows["quick"]["mean_miles"] < rows["slow"]["mean_miles"]
    assert rows["slow"]["mean_miles_minus_quick"][1] > 0
    assert rows["quick"]["parameters"] == rows["slow"]["parameters"] > 100
    table = (out / "leaderboard.md").read_text()
    assert table in done.stdout
    assert (out / "leaderboard.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_does_nothing_again(board):
    out, flags, _ = board
    before = (out / "quick" / "fold0" / "model.keras").stat().st_mtime_ns
    road.program("tools.leaderboard", *flags)
    assert (out / "quick" / "fold0" / "model.keras").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"recipes": ("best", "worst")}, r"worst: there is no recipe(.|\n)*choose from best, best_frozen, centr"),
        ({"recipes": ("linear", "linear@maps")}, "two have the same name"),
        ({"recipes": ()}, "name recipes"),
        ({"folds": 1}, "is no division"),
        (
            {"recipes": ("linear@walls",)},
            r"not known which features(.|\n)*blocks, lite10, lite14, maps, peaks",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(changed, message):
    with pytest.raises(errors.OptionError, match=message):
        leaderboard.Options(**changed)


def test_every_recipe_of_ours_has_features():
    for path in leaderboard.RECIPES.glob("*.cfg"):
        assert path.stem in ("lstm_cnn", "joined") or leaderboard.recipe_of(path.stem).features.is_file()


def test_a_failed_extraction_ends_it(data_dir, tmp_path):
    flags = (f"--data_dir={data_dir}", "--config=nothing", f"--out={tmp_path}")
    failed = road.program("tools.leaderboard", *flags, expect=2)
    assert "extraction failed" in failed.stderr

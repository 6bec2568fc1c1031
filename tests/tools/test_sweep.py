"""Settings, table and picture of the sweep."""

import pytest

from geods import errors
from geods.cli import flags as cli_flags
from tools import sweep
from trainers.evaluation import comparison


def summary(name, miles):
    metrics = {"mean_miles": miles, "median_miles": miles - 9, "intervals": {"mean_miles": [miles - 20, miles + 20]}}
    return comparison.RunSummary(name, metrics, {f"{n},{n}": miles + n for n in range(9)}, 0, 0.0)


def test_each_value_is_compared_with_none_changed(tmp_path):
    settings = cli_flags.build(sweep.Options, cell_deg=("1", "2.5"), views_per_place=(1,))
    assert settings.values == [("cell_deg", 1.0), ("cell_deg", 2.5), ("views_per_place", 1)]
    found = [(name, value, summary(f"{name}{value}", 500 + value)) for name, value in settings.values]
    text = sweep._table(summary("all", 500), found)
    assert "| cell size, degrees | 2.5 | 502.5 (482 to 522) | 493.5 | +2 (+2 to +2) |" in text
    sweep._draw(summary("all", 500), found, tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "there is no value to try"),
        ({"cell_deg": ("wide",)}, "--cell_deg=wide: could not convert"),
        ({"places_per_cell": (0,)}, "--places_per_cell=0: must be above 0"),
    ],
)
def test_nothing_to_try_is_refused(changed, message):
    with pytest.raises(errors.OptionError, match=message):
        sweep.Options(**changed)


def test_a_misspelt_recipe_is_answered_with_the_nearest():
    with pytest.raises(errors.OptionError, match=r"--recipe=mpl: there is no such recipe\.\nNext: write --recipe=mlp"):
        sweep.main(cli_flags.build(sweep.Options, recipe="mpl", cell_deg=("1",)))

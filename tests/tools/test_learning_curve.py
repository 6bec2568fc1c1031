"""A known power law is found again, and the program measures a learning curve."""

import json

import numpy as np
import pytest
import road

from geods import errors
from tools import learning_curve
from trainers.evaluation import learning_curves


def test_a_known_law_is_found_with_its_interval_and_price():
    rng, found = np.random.default_rng(0), {}
    for share in (0.125, 0.25, 0.5, 1.0):
        for draw in range(1 if share == 1 else 3):
            count = 800 * share
            found[share, draw] = (count, 1000 * count**-0.12 * rng.gamma(4, 0.25, 1000))
    curve = learning_curves.curve_of(found)
    a, b = curve.law()
    miles, low, high = curve.predict(8000)
    assert b == pytest.approx(0.12, abs=0.03)
    assert low < 1000 * 8000**-0.12 < high
    assert low < miles < high < 1.3 * low
    assert curve.predict(800)[2] - curve.predict(800)[1] < high - low, "the farther the less certain"
    text = learning_curve.table(curve, learning_curve.Options(price_per_1000=7.0, hit_rate=0.5))
    assert f"2 x 800 | {curve.predict(1600)[0]:,.0f}" in " ".join(text.replace("|", " | ").split())
    # 1,000 locations once more, of 3 views, of which every other is kept.
    assert "42.00" in text
    assert a * 800**-b == pytest.approx(curve.miles[-1], rel=0.05)


def test_the_program_measures_shares_of_a_cache(data_dir, cache_dir, tmp_path):
    recipe = tmp_path / "quick.cfg"
    recipe.write_text("--head=neighbours\n--validation_split=\n")
    words = [f"--recipe={recipe}", f"--data_dir={data_dir}", "--config=random", f"--cache_dir={cache_dir}"]
    done = road.program(
        "tools.learning_curve", *words, "--folds=2", "--shares=1/3", "--draws=1", f"--out={tmp_path / 'out'}"
    )
    assert "10 x 75" in done.stdout
    found = json.loads((tmp_path / "out" / "learning_curve.json").read_text())
    assert found["training_locations"] == [25, 75]
    assert (tmp_path / "out" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "changed", [{"shares": ()}, {"shares": ("1/0",)}, {"shares": ("2",)}, {"hit_rate": 0.0}, {"draws": 0}, {"folds": 1}]
)
def test_curves_that_cannot_be_are_refused(changed):
    with pytest.raises(errors.OptionError):
        learning_curve.Options(**changed)

"""Mistakes of users end in a few lines with cause and next step.

Before TensorFlow starts.

Those that need TensorFlow, and all of them as processes of their own, are in tests/soak/soak_mistakes.py.
"""

import mistakes
import pytest
import road
from mistakes_from_nothing import HERE
from mistakes_later import ON_ROAD


@pytest.mark.parametrize("name", HERE)
def test_mistake_is_answered(name, tmp_path):
    assert mistakes.problems(HERE[name], tmp_path, {}, road.without_tensorflow) == []


@pytest.mark.parametrize("name", ON_ROAD)
def test_mistake_on_what_the_road_made_is_answered(name, tmp_path, run_dir):
    assert mistakes.problems(ON_ROAD[name], tmp_path, {"road": run_dir.parent}, road.without_tensorflow) == []

"""The cost of many images on paper."""

import pytest
import road

from geods import errors
from tools import cost


def test_bytes_hours_and_dollars_are_those_of_the_rates():
    settings = cost.Options(
        images=3_600_000, image_kb=10, feature_kb=1, build_images_per_s=100, extract_images_per_s=10, machines=4,
        accelerator_images_per_s=1000, machine_usd_per_h=0.5, accelerator_usd_per_h=3, storage_usd_per_gb_month=0.1,
    )  # fmt: skip
    assert cost.rows(settings) == [
        ["imagery tree, a month", "36 GB", "3.60"],
        ["dataset, a month", "36 GB", "3.60"],
        ["features, a month", "4 GB", "0.36"],
        ["build", "10.0 machine hours, 2.5 h", "5.00"],
        ["extract on CPUs", "100.0 machine hours, 25.0 h", "50.00"],
        ["or extract on accelerators", "1.0 machine hours, 0.2 h", "3.00"],
    ]


def test_the_program_prints_its_assumptions_and_refuses_nonsense():
    said = road.program("tools.cost", "--images=10000000").stdout
    assert "build_images_per_s = 228.0: Images built a second; 2,970 in 13 s" in said
    assert "accelerators" not in said.partition("computed from")[0]
    with pytest.raises(errors.OptionError, match="--build_images_per_s=0: must be at least"):
        cost.Options(build_images_per_s=0)

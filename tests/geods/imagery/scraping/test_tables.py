"""The cost and the results of a scrape, in words."""

import csv

import pytest

from geods import errors
from geods.imagery.scraping import options, outcome, tables

OUTCOMES = {0: {"accepted": 2}, 1: {"zero_results": 7, "seen_before": 1, "accepted": 1}, 2: {"open": 1, "too_far": 1}}


def test_the_table_names_what_is_missing_and_why():
    rows = tables.rows(OUTCOMES, dict.fromkeys(range(4), 2), "accepted")
    text = tables.table(rows)
    assert text.splitlines()[0] == "3 of 8 locations (25% of 12 points looked up)"
    assert "7  zero results" in text
    assert "3 of 4 cells are under their target:" in text
    # Those that lack most come first.
    assert [line.split()[0] for line in text.splitlines() if "   2  " in line] == ["2", "3", "1"]
    assert "seen before 1, zero results 7" in text


def test_many_short_cells_are_counted_not_listed():
    text = tables.table(tables.rows({}, dict.fromkeys(range(100), 2), "accepted"))
    assert text.splitlines()[0] == "0 of 200 locations"
    assert text.endswith("... and 88 more")


def test_every_cell_is_in_the_file(tmp_path):
    path = tables.write_cells(tables.rows(OUTCOMES, dict.fromkeys(range(3), 2), "accepted"), tmp_path)
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "cell": "1", "target": "2", "got": "1", "lookups": "9", "seen_before": "1", "too_far": "0", "zero_results": "7"
    }  # fmt: skip
    assert rows[2]["lookups"] == "1"


def test_the_plan_is_the_report_s_bill():
    settings = options.ScrapeOptions(out="tree", max_cost=250)
    text = tables.cost_plan(settings, cells=243, there=0, spent_units=0, units_per_image=1)
    assert "243 cells x 40 locations x 3 views: 29,160 images" in text
    assert "204.12 USD" in text
    assert "48.6 minutes" in text
    freed = options.ScrapeOptions(out="tree", max_cost=250, free_images=10_000)
    assert "134.12 USD" in tables.cost_plan(freed, 243, 0, 0, 1)
    later = tables.cost_plan(settings, 243, there=243 * 20, spent_units=15_000, units_per_image=1)
    assert "14,580 images to come" in later
    assert "spent: 105.00 USD" in later
    assert "USD" not in tables.cost_plan(settings, 243, 0, 0, units_per_image=0)


def test_what_was_sent_again_is_told_with_its_cause():
    assert tables.again({}) == ""
    assert tables.again({"server": 1200, "truncated image": 2}) == (
        "1,202 requests were sent again: server 1,200, truncated image 2"
    )


def test_the_bill_of_what_was_found():
    settings = options.ScrapeOptions(out="tree", free_images=100, headings=(0, 120, 240))
    assert tables.bill(settings, 400, 1) == "1,200 images of these: at least 2.0 minutes at 10 a second, 7.70 USD"
    assert "USD" not in tables.bill(settings, 400, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"out": ""}, "--out: is empty"),
        ({"locations_per_cell": 0}, "--locations_per_cell=0: must be at least 1"),
        ({"workers": 0}, "--workers=0: must be at least 1"),
        ({"image_attempts": 0}, "--image_attempts=0: must be at least 1"),
        ({"images_per_s": 0}, "--images_per_s=0: must be above 0"),
        ({"lookups_per_s": float("nan")}, "--lookups_per_s=nan: must be above 0"),
        ({"max_cost": -1}, "--max_cost=-1: must be 0 or more"),
        ({"max_cost": float("inf")}, "--max_cost=inf: must be 0 or more"),
        ({"free_images": -1}, "--free_images=-1: must be 0 or more"),
        ({"headings": ()}, "--headings=: must be different"),
        ({"headings": (0, 0)}, "must be different whole degrees"),
        ({"headings": (360,)}, "from 0 to 359"),
    ],
)
def test_options_are_checked(changes, words):
    with pytest.raises(errors.OptionError, match=words):
        options.ScrapeOptions(**({"out": "tree"} | changes))


def test_every_end_has_a_code_and_only_one_is_success():
    assert [reason for reason, code in outcome.EXIT_CODES.items() if code == 0] == ["complete"]
    assert 2 not in outcome.EXIT_CODES.values()

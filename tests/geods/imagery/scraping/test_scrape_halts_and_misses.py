"""Ends and misses of a scrape: money, keys, lost services, images that are none."""

import contextlib
import sqlite3

import drawn_source
import pytest
from drawn_scrape import run, whole
from scraper_soak import contents

from geods import errors
from geods.imagery import source
from geods.imagery.scraping import scrape_journal
from geods.tree import imagery_tree

__all__ = ["whole"]


def test_the_budget_is_never_exceeded_and_goes_on_when_raised(whole, tmp_path):
    client = drawn_source.DrawnSource(script=drawn_source.flaky(3))
    result = run(tmp_path / "tree", client, max_cost=0.1)
    assert (result.halt.reason, result.halt.exit_code) == ("budget", 5)
    assert "--max_cost=0.1" in result.halt.detail
    assert result.spent_units == client.images_sent <= 14
    result = run(tmp_path / "tree", client, max_cost=1)
    assert result.halt.reason == "complete"
    assert result.spent_units == client.images_sent
    assert contents(tmp_path / "tree") == contents(whole)


def test_locations_that_are_under_way_when_the_money_is_used_up_are_finished(tmp_path):
    # 14 images: the four cells begin with 3 each, and the first to end finds 2 left.
    client = drawn_source.DrawnSource()
    result = run(tmp_path / "tree", client, max_cost=0.1, images_per_s=10)
    assert result.halt.reason == "budget"
    assert "12 images were asked for, 0.08 USD" in result.halt.detail
    assert len(imagery_tree.read(tmp_path / "tree")) == 4
    assert not list((tmp_path / "tree" / ".incoming").iterdir())


def test_nothing_is_spent_unless_allowed(tmp_path):
    client = drawn_source.DrawnSource()
    with pytest.raises(errors.OptionError, match="--max_cost=0: buys no image at 7 USD a thousand"):
        run(tmp_path / "tree", client, max_cost=0)
    assert not client.sent
    assert not (tmp_path / "tree").exists()
    client.units_per_image = 0
    assert run(tmp_path / "tree", client, max_cost=0).halt.reason == "complete"


def test_a_dry_run_looks_and_leaves_no_trace(tmp_path):
    client = drawn_source.DrawnSource()
    result = run(tmp_path / "tree", client, max_cost=0, dry_run=True)
    assert result.halt.reason == "complete"
    assert [row.got for row in result.rows] == [3] * 4
    assert client.images_sent == 0
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(("reason", "code"), [("denied", 3), ("quota", 4), ("request", 1)])
@pytest.mark.parametrize("asked", ["look_up", "fetch"])
def test_a_refused_key_ends_at_once(tmp_path, reason, code, asked):
    def refuse(kind, key, attempt):
        if kind == asked:
            raise errors.SourceStop(reason, "no", "see why")

    client = drawn_source.DrawnSource(script=refuse)
    result = run(tmp_path / "tree", client, workers=4)
    assert (result.halt.reason, result.halt.exit_code) == (reason, code)
    assert sum(count for (kind, _), count in client.sent.items() if kind == asked) <= 4
    client.script = lambda kind, key, attempt: None
    assert run(tmp_path / "tree", client).halt.reason == "complete"


@pytest.mark.parametrize("asked", ["look_up", "fetch"])
@pytest.mark.parametrize(("cause", "reason"), [("network", "unavailable"), ("quota", "quota")])
def test_a_service_that_is_not_there_costs_no_location(whole, tmp_path, asked, cause, reason):
    down = True

    def answer(kind, key, attempt):
        if down and len(client.sent) > 12:
            raise errors.SourceRetry(cause, "no answer", 0.1)

    client = drawn_source.DrawnSource(script=answer)
    result = run(tmp_path / "tree", client)
    assert (result.halt.reason, result.halt.exit_code) == (reason, 4)
    down = False
    assert run(tmp_path / "tree", client).halt.reason == "complete"
    assert contents(tmp_path / "tree") == contents(whole)


def test_one_request_that_is_never_answered_is_a_miss(tmp_path):
    def answer(kind, key, attempt):
        if kind == "fetch" and key[1] == 90 and "0" in key[0][-1:]:
            raise errors.SourceRetry("network", "broke off")

    result = run(tmp_path / "tree", drawn_source.DrawnSource(script=answer))
    assert result.halt.reason == "complete"
    assert sum(row.misses.get("no_answer", 0) for row in result.rows) > 0
    assert not list((tmp_path / "tree" / ".incoming").iterdir())


def test_refused_images_and_twins_are_misses_with_their_reason(tmp_path):
    sent = {}

    def answer(kind, key, attempt):
        if kind == "look_up":
            return None
        number = sent.setdefault(key[0], len(sent))
        if number == 0:
            raise errors.ImageRefused("grey", "nothing there")
        if number == 1:
            return drawn_source.DrawnSource().world.render(40, -100, 0, 24, 48)
        if number == 2:
            raise errors.ImageRefused("truncated", "half", transient=True)
        return None

    client = drawn_source.DrawnSource(script=answer)
    result = run(tmp_path / "tree", client, workers=1)
    misses = {}
    for row in result.rows:
        misses |= row.misses
    assert misses["image_grey"] == misses["same_image"] == misses["image_truncated"] == 1
    assert max(count for (kind, _), count in client.sent.items() if kind == "fetch") == 4
    assert result.spent_units == client.images_sent


def test_panoramas_are_taken_once_and_sequences_once_a_cell(tmp_path):
    def answer(kind, key, attempt):
        if kind == "look_up":
            place = (round(key[0] * 0.02, 1) + 0.02, round(key[1] * 0.02, 1) + 0.02)
            name = f"{place[0]:.2f}_{place[1]:.2f}"
            return source.Panorama(name, *place, "2015-06", "", "drawn", "", sequence=f"row {place[0]:.2f}")
        return None

    result = run(tmp_path / "tree", drawn_source.DrawnSource(script=answer), locations_per_cell=9)
    assert (result.halt.reason, result.halt.exit_code) == ("under_target", 6)
    assert scrape_journal.read_status(tmp_path / "tree").state == "done"
    for row in result.rows:
        assert row.got == 5
        assert row.misses["seen_before"] > 0
        assert row.misses["same_sequence"] > 0


def test_a_fault_of_our_own_is_not_hidden(tmp_path):
    def fail(kind, key, attempt):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "tree", drawn_source.DrawnSource(script=fail))
    assert scrape_journal.read_status(tmp_path / "tree").state == "stopped"


def test_a_journal_without_tables_is_begun_again(tmp_path):
    # A run was killed between making the file and its tables.
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert scrape_journal.read_status(tmp_path) is None
    assert scrape_journal.complete_locations(tmp_path) == []
    assert run(tmp_path).halt.reason == "complete"

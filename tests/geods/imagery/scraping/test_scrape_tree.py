"""The tree of a drawn source is the same whatever happens during the scrape.

A scrape that cannot be resumed is refused.
"""

import csv
import filecmp
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import checkout
import drawn_source
import pytest
import starts
from drawn_scrape import CELLS, IMAGES, run, whole
from scraper_soak import contents

from geods import errors
from geods.geo import partition
from geods.imagery.scraping import scrape_journal
from geods.tree import companions, imagery_tree, labelling, layouts

__all__ = ["whole"]


def test_a_tree_is_whole_labelled_and_described(whole):
    locations = layouts.read(whole)
    assert len(locations) == len(CELLS) * 3
    assert all([view.heading_deg for view in place.views] == [0, 90, 180] for place in locations)
    labels = labelling.label(locations, partition.read(companions.TreeFolder(whole).find_partition()))
    assert not labels.outside
    assert not labels.disagreements
    assert companions.TreeFolder(whole).provenance() == companions.Provenance("drawn", "Apache-2.0")
    assert not list(whole.glob(".incoming/*"))


def test_the_tables_tell_where_images_come_from(whole):
    with open(whole / "views.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == IMAGES
    for row in rows:
        assert (whole / row["file"]).stat().st_size == int(row["bytes"])
        assert row["copyright"] == "© Google"
        assert 0 < float(row["distance_m"]) < 2000
    with open(whole / "cells.csv", encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    assert [(row["cell"], row["target"], row["got"]) for row in cells] == [(str(cell), "3", "3") for cell in range(4)]


def test_the_journal_tells_who_watches(whole, tmp_path):
    status = scrape_journal.read_status(whole)
    assert (status.state, status.locations, status.units) == ("done", 12, IMAGES)
    arrivals = scrape_journal.complete_locations(whole)
    assert [arrival.number for arrival in arrivals] == list(range(1, 13))
    assert sorted(arrival.location.location_id for arrival in arrivals) == [
        place.location_id for place in imagery_tree.read(whole)
    ]
    assert {arrival.location for arrival in arrivals} == set(imagery_tree.read(whole))
    assert scrape_journal.complete_locations(whole, after=12) == []
    assert scrape_journal.read_status(tmp_path) is None
    assert scrape_journal.complete_locations(tmp_path) == []


@pytest.mark.parametrize("workers", [1, 16])
def test_threads_and_faults_change_nothing(whole, tmp_path, workers):
    client = drawn_source.DrawnSource(script=drawn_source.flaky(2))
    result = run(tmp_path / "tree", client, workers=workers)
    assert contents(tmp_path / "tree") == contents(whole)
    assert result.spent_units == client.images_sent > IMAGES
    assert result.again["truncated image"] > 0 < result.again["server"]


def test_a_second_run_does_nothing(whole, tmp_path):
    client = drawn_source.DrawnSource()
    run(tmp_path / "tree", client)
    sent = len(client.sent)
    assert run(tmp_path / "tree", client).images == 0
    assert len(client.sent) == sent


def test_a_higher_target_goes_on(whole, tmp_path):
    client = drawn_source.DrawnSource()
    run(tmp_path / "tree", client, locations_per_cell=1)
    run(tmp_path / "tree", client, locations_per_cell=3)
    assert contents(tmp_path / "tree") == contents(whole)
    assert client.images_sent == IMAGES


def test_a_stop_ends_soon_and_can_be_gone_on_from(whole, tmp_path):
    stop = threading.Event()
    client = drawn_source.DrawnSource(script=lambda kind, key, attempt: stop.set() if len(client.sent) == 30 else None)
    result = run(tmp_path / "tree", client, stop)
    assert (result.halt.reason, result.halt.exit_code) == ("interrupted", 130)
    status = scrape_journal.read_status(tmp_path / "tree")
    assert status.state == "stopped"
    assert "python -m tools.scrape --flagfile=" in status.detail
    client.script = lambda kind, key, attempt: None
    assert run(tmp_path / "tree", client).halt.reason == "complete"
    assert contents(tmp_path / "tree") == contents(whole)
    assert client.images_sent == IMAGES


KILLED = """
import sys, pathlib
sys.path[:0] = sys.argv[2:]
import drawn_source, drawn_scrape
client = drawn_source.DrawnSource(script=drawn_source.flaky(3))
print("begun", flush=True)
drawn_scrape.run(pathlib.Path(sys.argv[1]), client, images_per_s=150)
print(client.images_sent, flush=True)
"""


def test_kills_lose_nothing(whole, tmp_path):
    root, kills = tmp_path / "tree", 0
    command = ["tests.support.programs.statements", KILLED, root, *checkout.SUPPORT]
    rng = random.Random(0)
    while True:
        with starts.started(starts.LIGHT, command, dict(os.environ)) as scraper:
            scraper.wait_to_say("begun\n")
            time.sleep(rng.uniform(0, 0.12))
            if kills < 8:
                scraper.send(signal.SIGKILL)
            if scraper.wait() == 0:
                break
        kills += 1
        # No half location and no half file, at any moment.
        for folder in root.glob("[0-9]*/*"):
            assert len(list(folder.glob("*.jpg"))) == 3
    assert kills > 3
    assert contents(root) == contents(whole)


def test_what_kills_left_beside_the_journal_is_removed(whole, tmp_path):
    run(tmp_path / "tree", locations_per_cell=1)
    (tmp_path / "tree" / ".scrape.90cff7e8.tmp.cfg").write_bytes(b"half")
    run(tmp_path / "tree")
    assert contents(tmp_path / "tree") == contents(whole)


def test_two_scrapers_do_not_share_a_tree(tmp_path):
    root = tmp_path / "tree"
    refusals = []

    def intrude(kind, key, attempt):
        if not refusals:
            refusals.append(subprocess.run(intruder, capture_output=True, text=True, check=False))

    intruder = [sys.executable, "-c", KILLED, str(root), *checkout.SUPPORT]
    run(root, drawn_source.DrawnSource(script=intrude), workers=1)
    assert re.search(rf"process {os.getpid()} on .* UTC is scraping into it", refusals[0].stderr)


def test_another_config_is_refused_with_what_differs(whole, tmp_path):
    run(tmp_path / "tree", locations_per_cell=1)
    with pytest.raises(errors.TreeError, match=r"other options \(seed was 0, is 1\)"):
        run(tmp_path / "tree", seed=1)
    with pytest.raises(errors.TreeError, match=r"headings was \[0, 90, 180\], is \[0, 90\]"):
        run(tmp_path / "tree", headings=(0, 90))
    with pytest.raises(errors.TreeError, match="fov_deg was None, is 90"):
        run(tmp_path / "tree", config={"fov_deg": 90})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(errors.TreeError, match="is not empty, and not a tree that was scraped"):
        run(tmp_path)
    assert filecmp.dircmp(tmp_path, tmp_path).left_list == ["holiday.jpg"]


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / ".scrape.lock").touch()
    (tmp_path / "journal.sqlite").write_bytes(b"SQLite format 3 it is not" * 100)
    with pytest.raises(errors.TreeError, match="is not a scraper's journal"):
        run(tmp_path)
    with pytest.raises(errors.TreeError, match="is not a scraper's journal"):
        scrape_journal.read_status(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.TreeError, match="cannot be written"):
        run(tmp_path / "file" / "tree")
    with pytest.raises(errors.TreeError, match="is a file, not a folder"):
        run(tmp_path / "file")


def test_a_disk_that_takes_no_more_ends_with_a_state_to_go_on_from(whole, tmp_path):
    # A quota on the size of files works for root as well: the kernel refuses what is above.
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n"
    limited += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limited += KILLED.replace("drawn_scrape.run(", "result = drawn_scrape.run(") + "print(result.halt)\n"
    command = [sys.executable, "-c", limited, str(tmp_path / "tree"), *checkout.SUPPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "reason='disk'" in done.stdout
    assert "make room" in done.stdout
    assert run(tmp_path / "tree").halt.reason == "complete"
    assert contents(tmp_path / "tree") == contents(whole)

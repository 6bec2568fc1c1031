"""tools.scrape --source=mapillary against a simulated Mapillary over HTTP."""

import collections
import contextlib
import csv
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import checkout
import mapillary_server
import pytest
import shapely
import starts

from geods import errors
from geods.geo import partition
from geods.imagery.scraping import scrape_journal
from geods.tree import companions, imagery_tree, labelling, layouts
from tools import scrape

QUICK = ("--images_per_s=1000", "--lookups_per_s=1000", "--height_px=60", "--width_px=120", "--workers=4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("mapillary")
    boxes = [(-104 + x, 35 + y) for y in range(2) for x in range(2)]
    cells = partition.Partition(tuple(shapely.box(x, y, x + 0.1, y + 0.1) for x, y in boxes))
    partition.write(cells, made / "partition.geojson")
    return made


@pytest.fixture(scope="module")
def service():
    with mapillary_server.serving() as running:
        yield running


def command(service, folder, name, *flags):
    where = (f"--partition={folder / 'partition.geojson'}", f"--out={folder / name}")
    source = ("--source=mapillary", f"--mapillary_api_base={service.url}")
    # Of a flag that is in both, the one given here counts.
    given = {flag.partition("=")[0]: flag for flag in (*QUICK, *flags)}
    return [sys.executable, "-m", "tools.scrape", *where, *source, *given.values()]


def run(words, token=mapillary_server.TOKEN):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE", "MAPILLARY"))}
    environment |= {"MAPILLARY_ACCESS_TOKEN": token} if token else {}
    return starts.run(words, environment)


def assert_no_token(root, *texts):
    secrets = [mapillary_server.TOKEN.split("|")[2].encode(), b"MLY|1234", b"MLY%7C"]
    contents = [path.read_bytes() for path in pathlib.Path(root).rglob("*") if path.is_file()]
    for content in [*contents, *(text.encode() for text in texts)]:
        assert not any(word in content for word in secrets)


def rows_of(root):
    with open(root / "views.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def scraped(folder, service):
    done = run(command(service, folder, "tree", "--locations_per_cell=3", "--lookups_per_location=40"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_tree(folder, service, scraped):
    locations = layouts.read(folder / "tree")
    assert len(locations) == 12
    assert all([view.heading_deg for view in location.views] == [0, 90, 180] for location in locations)
    assert companions.TreeFolder(folder / "tree").provenance() == companions.Provenance(
        "simulated_mapillary", "Apache-2.0"
    )
    labels = labelling.label(locations, partition.read(folder / "partition.geojson"))
    assert not labels.outside
    assert not labels.disagreements
    rows = rows_of(folder / "tree")
    assert len(rows) == 36
    for row in rows:
        record = service.record(service.known[row["pano_id"]])
        assert row["sequence"] == record["sequence"]
        assert (
            row["copyright"] == f"© {record['creator']['username']}, Mapillary"
            if "creator" in record
            else "© Mapillary"
        )
        assert bool(row["date"]) == ("captured_at" in record)
    assert "12 of 12 locations" in scraped.stdout
    assert "36 images in this run, 0.00 USD in all" in scraped.stdout
    assert "USD a thousand" not in scraped.stdout


def test_one_picture_a_sequence_and_cell(folder, scraped):
    places = {(row["file"].split("/")[0], row["sequence"], row["pano_id"]) for row in rows_of(folder / "tree")}
    counts = collections.Counter((cell, sequence) for cell, sequence, _ in places)
    assert set(counts.values()) == {1}
    with contextlib.closing(sqlite3.connect(folder / "tree" / "journal.sqlite")) as connection:
        outcomes = dict(connection.execute("SELECT outcome, COUNT(*) FROM query GROUP BY outcome"))
    assert outcomes["accepted"] == 12


def test_sequences_that_were_taken_are_passed_over(folder, service):
    # 40 points in a cell of 0.1 degrees come upon some sequences there several times.
    done = run(command(service, folder, "many", "--locations_per_cell=40", "--lookups_per_location=1"))
    assert done.returncode == 6, done.stdout + done.stderr
    assert "same sequence" in done.stdout
    counts = collections.Counter(
        (row["file"].split("/")[0], row["sequence"], row["heading"]) for row in rows_of(folder / "many")
    )
    assert set(counts.values()) == {1}


def test_a_second_run_adds_nothing(folder, service, scraped):
    before, asked = scrape_journal.canonical(folder / "tree"), dict(service.asked)
    done = run(command(service, folder, "tree", "--locations_per_cell=3", "--lookups_per_location=40"))
    assert done.returncode == 0, done.stderr
    assert "0 images in this run" in done.stdout
    done = run([sys.executable, "-m", "tools.scrape", f"--flagfile={folder / 'tree' / 'scrape.cfg'}"])
    assert done.returncode == 0, done.stderr
    assert scrape_journal.canonical(folder / "tree") == before
    assert service.asked == asked


def test_the_token_is_nowhere(folder, service, scraped):
    assert_no_token(folder / "tree", scraped.stdout, scraped.stderr)
    assert service.strange == []


def test_a_dry_run_writes_nothing(folder, service):
    asked = dict(service.asked)
    done = run(command(service, folder, "dry", "--dry_run", "--locations_per_cell=2"))
    assert done.returncode == 0, done.stderr
    assert "a dry run: no image was asked for" in done.stdout
    assert not (folder / "dry").exists()
    assert service.asked["image"] == asked["image"]


def test_flat_pictures(folder, service):
    flags = ("--mapillary_kind=flat", "--locations_per_cell=2", "--lookups_per_location=40")
    done = run(command(service, folder, "flat", *flags))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 cells x 2 locations x 1 views: 8 images" in done.stdout
    locations = imagery_tree.read(folder / "flat")
    assert [len(location.views) for location in locations] == [1] * 8
    assert len({location.views[0].heading_deg for location in locations}) > 2
    assert run(command(service, folder, "flat", *flags)).returncode == 0


def test_a_killed_run_is_gone_on_with(folder, service, scraped):
    words = command(
        service, folder, "killed", "--locations_per_cell=3", "--lookups_per_location=40", "--images_per_s=20"
    )
    environment = os.environ | {"MAPILLARY_ACCESS_TOKEN": mapillary_server.TOKEN}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, cwd=checkout.REPO, env=environment, **pipes) as scraper:
        while not list((folder / "killed").glob("[0-9]*/*")):
            time.sleep(0.02)
        scraper.send_signal(signal.SIGKILL)
    done = run(command(service, folder, "killed", "--locations_per_cell=3", "--lookups_per_location=40"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert scrape_journal.canonical(folder / "killed") == scrape_journal.canonical(folder / "tree")


def test_faults_that_pass_change_nothing(folder, scraped):
    kinds = {
        "tile": ("500", "429", "html", "error200", "nodata", "truncated", "fast", "redirect"),
        "entity": ("500", "fast", "html"),
        "image": ("expired", "html", "half", "truncated", "503", "429"),
    }

    every = {"tile": 9, "entity": 3, "image": 3}

    def fault(kind, number):
        return kinds[kind][number // every[kind] % len(kinds[kind])] if number % every[kind] == 0 else None

    with mapillary_server.serving(fault=fault) as faulty:
        patient = ("--image_attempts=20", "--lookup_attempts=40", "--workers=4")
        flags = ("--locations_per_cell=1", "--lookups_per_location=120", *patient)
        done = run(command(faulty, folder, "faulty", *flags))
    assert done.returncode == 0, done.stdout + done.stderr
    taken = {row["pano_id"] for row in rows_of(folder / "faulty")}
    assert len(taken) == 4
    assert taken <= {row["pano_id"] for row in rows_of(folder / "tree")}
    assert_no_token(folder / "faulty", done.stdout, done.stderr)


def test_a_wrong_token_and_none(folder, service):
    done = run(command(service, folder, "denied"), token="MLY|9|another-token-than-that")  # noqa: S106 - of nothing
    assert done.returncode == 3
    assert "check MAPILLARY_ACCESS_TOKEN" in done.stdout
    assert "another-token" not in done.stdout + done.stderr
    done = run(command(service, folder, "none"), token="")
    assert done.returncode == 2
    assert "MAPILLARY_ACCESS_TOKEN is not set" in done.stderr
    assert "--mapillary_token_file" in done.stderr


def test_a_token_from_a_file(folder, service, tmp_path):
    path = tmp_path / "token"
    path.write_text(mapillary_server.TOKEN, encoding="ascii")
    path.chmod(0o600)
    words = command(service, folder, "filed", "--locations_per_cell=1", "--dry_run", f"--mapillary_token_file={path}")
    assert run(words, token="").returncode == 0
    path.chmod(0o644)
    assert f"chmod 600 {path}" in run(words, token="").stderr


def test_flags_of_the_other_source_are_not_passed_over():
    options = {"out": "tree", "source": "mapillary"}
    assert scrape.Options(**options).mapillary_api_base == "https://graph.mapillary.com"
    for flag, value in {"radius_m": 500, "api_base": "https://example.org", "api_key_file": "key"}.items():
        with pytest.raises(errors.OptionError, match=f"--{flag}=.* has no effect on --source=mapillary"):
            scrape.Options(**options, **{flag: value})
    with pytest.raises(errors.OptionError, match="--mapillary_kind=flat: has no effect on --source=street_view"):
        scrape.Options(out="tree", accept_terms=True, mapillary_kind="flat")
    with pytest.raises(errors.OptionError, match="--accept_terms is not given"):
        scrape.Options(out="tree")


def test_another_kind_does_not_mix_in(folder, service, scraped):
    done = run(command(service, folder, "tree", "--mapillary_kind=flat"))
    assert done.returncode == 2
    assert "mapillary_kind was panorama, is flat" in done.stderr
    config = json.loads(scrape_journal.canonical(folder / "tree").splitlines()[0].removeprefix("config "))
    assert config["source"] == "simulated_mapillary"
    assert "mapillary_api_base" not in config

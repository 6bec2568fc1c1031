"""tools.scrape --source=panoramax against recorded responses over HTTP."""

import collections
import csv
import os
import re
import signal
import subprocess
import sys
import time

import checkout
import numpy as np
import panoramax_server
import panoramax_town
import pytest
import shapely
import starts
from PIL import Image

from geods import errors
from geods.geo import partition
from geods.imagery.scraping import scrape_journal
from geods.tree import companions, imagery_tree
from tools import scrape

QUICK = ("--images_per_s=1000", "--lookups_per_s=1000", "--height_px=60", "--width_px=120", "--pitch_deg=0")
TARGET = ("--locations_per_cell=2", "--lookups_per_location=20", "--radius_m=2000", "--workers=4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("panoramax")
    west, south, half = panoramax_town.WEST, panoramax_town.SOUTH, panoramax_town.WIDTH_DEG / 2
    boxes = [shapely.box(west + x, south, west + x + half, south + panoramax_town.HEIGHT_DEG) for x in (0, half)]
    partition.write(partition.Partition(tuple(boxes)), made / "partition.geojson")
    return made


@pytest.fixture(scope="module")
def service():
    with panoramax_server.serving() as running:
        # One instance of a federation has pictures under another licence.
        for item in running.named("_1_"):
            item["properties"]["license"] = "etalab-2.0"
        yield running


def command(service, folder, name, *flags):
    where = (f"--partition={folder / 'partition.geojson'}", f"--out={folder / name}")
    source = ("--source=panoramax", f"--api_base={service.url}")
    return [sys.executable, "-m", "tools.scrape", *where, *source, *QUICK, *flags]


def run(words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE", "MAPILLARY"))}
    return starts.run(words, environment)


def kill_midway(words, tree):
    """Starts a slow scrape and kills it as soon as an image is there."""
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*words, "--images_per_s=8"], cwd=checkout.REPO, **pipes) as scraper:
        while not list(tree.glob(".incoming/*/*.jpg")):
            assert scraper.poll() is None
            time.sleep(0.02)
        scraper.send_signal(signal.SIGKILL)


@pytest.fixture(scope="module")
def scraped(folder, service):
    done = run(command(service, folder, "tree", *TARGET))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def rows_of(root):
    with open(root / "views.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_view_looks_where_its_name_says_and_has_its_credit(folder, scraped):
    rows = rows_of(folder / "tree")
    assert len(rows) == 2 * 2 * 3
    for row in rows:
        shot = panoramax_server.SHOTS[row["original_name"]]
        assert (float(row["latitude"]), float(row["longitude"])) == pytest.approx(
            (shot.lat_deg, shot.lon_deg), abs=1e-6
        )
        with Image.open(folder / "tree" / row["file"]) as image:
            off_deg = (panoramax_town.looks_to(np.asarray(image)) - float(row["heading"]) + 180) % 360 - 180
        assert abs(off_deg) < 1
        assert row["licence"] == ("etalab-2.0" if "_1_" in shot.name else "CC-BY-SA-4.0")
        assert row["copyright"] == "Default account; Ann Example"
        assert row["source"] == "panoramax"
    provenance = companions.TreeFolder(folder / "tree").provenance()
    licences = {row["file"].split("/")[1]: row["licence"] for row in rows}
    assert {location_id: provenance.licence_of(location_id) for location_id in licences} == licences
    assert provenance.licence_of("0,0") == "CC-BY-SA-4.0 or etalab-2.0, as views.csv says picture by picture"
    taken = collections.Counter((row["file"].split("/")[0], row["sequence"]) for row in rows)
    assert set(taken.values()) == {3}


def test_what_is_printed(scraped):
    assert "panoramax to " in scraped.stdout
    assert re.search(r"smallest cell is about 1,\d{3} m wide, less than --radius_m=2000: pictures", scraped.stdout)
    assert "name their producers (views.csv)" in scraped.stdout
    assert "12 images in this run, 0.00 USD in all" in scraped.stdout
    assert "USD a thousand" not in scraped.stdout


def test_a_second_run_and_a_killed_one_end_with_the_same_tree(folder, service, scraped):
    wanted, asked = scrape_journal.canonical(folder / "tree"), dict(service.asked)
    assert "0 images in this run" in run(command(service, folder, "tree", *TARGET)).stdout
    assert (scrape_journal.canonical(folder / "tree"), service.asked) == (wanted, asked)
    words = [word for word in command(service, folder, "killed", *TARGET) if "images_per_s" not in word]
    kill_midway(words, folder / "killed")
    done = run(command(service, folder, "killed", *TARGET))
    assert done.returncode == 0, done.stdout + done.stderr
    assert scrape_journal.canonical(folder / "killed") == wanted
    assert [row["original_name"] for row in rows_of(folder / "killed")] == [
        row["original_name"] for row in rows_of(folder / "tree")
    ]


def test_flat_pictures_have_one_view_each(folder, service):
    done = run(command(service, folder, "flat", *TARGET, "--panoramax_kind=flat"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 cells x 2 locations x 1 views: 4 images" in done.stdout
    assert [len(location.views) for location in imagery_tree.read(folder / "flat")] == [1] * 4
    for row in rows_of(folder / "flat"):
        off_deg = (panoramax_server.SHOTS[row["original_name"]].heading_deg - float(row["heading"]) + 180) % 360 - 180
        assert abs(off_deg) < 1


def test_faults_that_pass_change_nothing(folder, scraped):
    kinds = {"search": ("503", "429", "html", "broken", "reset"), "image": ("503", "429", "html", "half", "reset")}

    def fault(kind, number):
        return kinds[kind][number // 3 % len(kinds[kind])] if number % 3 == 0 else None

    with panoramax_server.serving(fault=fault) as faulty:
        for item in faulty.named("_1_"):
            item["properties"]["license"] = "etalab-2.0"
        patient = ("--image_attempts=20", "--lookup_attempts=40")
        done = run(command(faulty, folder, "faulty", *TARGET, *patient))
    assert done.returncode == 0, done.stdout + done.stderr
    images = [{path.name: path.read_bytes() for path in (folder / name).rglob("*.jpg")} for name in ("tree", "faulty")]
    assert images[0] == images[1]


@pytest.mark.parametrize(("fault", "code"), [("html", 4), ("404", 1)])
def test_an_instance_that_is_none_is_one_line(folder, tmp_path, fault, code):
    with panoramax_server.serving(fault=lambda kind, number: fault) as service:
        done = run(command(service, folder, tmp_path / "none", *TARGET, "--lookup_attempts=1"))
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
    assert "\nNext: " in done.stdout


def test_unknown_licences_are_left_out_and_said(folder, tmp_path):
    with panoramax_server.serving() as service:
        for item in service.items:
            item["properties"]["license"] = "proprietary"
        done = run(command(service, folder, tmp_path / "none", "--locations_per_cell=1", "--radius_m=2000"))
        assert done.returncode == 6
        assert "licence 10" in done.stdout
        done = run(command(service, folder, tmp_path / "any", "--locations_per_cell=1", "--any_licence"))
    assert done.returncode == 0, done.stdout
    assert {row["licence"] for row in rows_of(tmp_path / "any")} == {"proprietary"}


def test_flags_of_other_sources_are_not_passed_over():
    options = {"out": "tree", "source": "panoramax"}
    assert scrape.Options(**options).of_source().api_base == "https://api.panoramax.xyz"
    for flag, value in {"mapillary_radius_m": 500, "allow_user_photos": True, "api_key_file": "key"}.items():
        with pytest.raises(errors.OptionError, match=f"--{flag}=.* has no effect on --source=panoramax"):
            scrape.Options(**options, **{flag: value})
    with pytest.raises(errors.OptionError, match="--any_licence=True: has no effect on --source=street_view"):
        scrape.Options(out="tree", accept_terms=True, any_licence=True)
    with pytest.raises(errors.OptionError, match="--dates=all: has no effect on --source=street_view"):
        scrape.Options(out="tree", accept_terms=True, dates=("all",))
    with pytest.raises(errors.OptionError, match="--headings=road: Street View's API does not say where roads lead"):
        scrape.Options(out="tree", accept_terms=True, headings=("road",))
    with pytest.raises(errors.OptionError, match="--radius_m=0"):
        scrape.Options(**options, radius_m=0)


def test_a_list_of_points_without_a_partition(folder, service, tmp_path):
    (item, *_), lines = service.named("_1_sphere_plain"), ["lat,lng,heading,panoId"]
    names = [one["properties"]["original_file:name"] for one in service.named("_0_sphere_plain")]
    shots = [panoramax_server.SHOTS[name] for name in names]
    lines += [f"{shot.lat_deg},{shot.lon_deg},{number}," for number, shot in enumerate(shots)]
    lines += [f",,,{item['id']}", "10,10,,", f",,,{'0' * 8}"]
    (tmp_path / "points.csv").write_text("\n".join(lines), encoding="utf-8")
    words = command(service, folder, tmp_path / "tree", f"--points={tmp_path / 'points.csv'}", "--radius_m=100")
    words = [word for word in words if not word.startswith("--partition")] + [f"--partition={tmp_path / 'none'}"]
    done = run([*words, "--dry_run"])
    assert done.returncode == 6, done.stderr
    assert f"{len(lines) - 1} points of " in done.stdout
    asks = (
        f"asks for at most {len(lines) - 1} points, 1000 a second, and for no image; nothing of panoramax costs money"
    )
    assert asks in done.stdout
    assert "the smallest cell" not in done.stdout
    assert f"row {len(shots) + 2} (10.000000, 10.000000): zero results" in done.stdout
    kill_midway([word for word in words if "images_per_s" not in word], tmp_path / "tree")
    done = run(words)
    assert done.returncode == 6, done.stderr
    assert "0 images in this run" not in done.stdout
    with open(tmp_path / "tree" / "points.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["outcome"] for row in rows] == ["found"] * (len(shots) + 1) + ["zero_results"] * 2
    assert rows[-3]["found_pano_id"] == item["id"]
    for row in rows_of(tmp_path / "tree"):
        with Image.open(tmp_path / "tree" / row["file"]) as image:
            off_deg = (panoramax_town.looks_to(np.asarray(image)) - float(row["heading"]) + 180) % 360 - 180
        assert abs(off_deg) < 1
        assert row["sequence"]

"""tools.scrape as a user runs it, against the simulated service."""

import csv
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import canary
import checkout
import namespaces
import pytest
import requests
import road
import scraper_soak
import shapely
import starts

from geods import errors
from geods.geo import partition
from geods.imagery.scraping import scrape_journal
from geods.tree import imagery_tree, labelling, layouts
from tools import scrape

CAN_MOUNT = (
    bool(shutil.which("unshare"))
    and not subprocess.run([*namespaces.NAMESPACE, "true"], capture_output=True, check=False).returncode
)
QUICK = ("--images_per_s=1000", "--max_cost=100", "--height_px=60", "--width_px=120")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("scrape")
    partition.write(scraper_soak.cells(3), made / "partition.geojson")
    return made


@pytest.fixture(scope="module")
def server(folder):
    with scraper_soak.service(folder) as running:
        yield running


@pytest.fixture(scope="module")
def scraped(folder, server):
    done = scraper_soak.scrape(server.url, folder, "tree", *QUICK, "--locations_per_cell=4")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_every_image_is_of_the_place_its_name_says(folder, server, scraped):
    with open(folder / "tree" / "views.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9 * 4 * 3
    for row in rows[::7]:
        truth = requests.get(f"{server.url}/__fake__/pano/{row['pano_id']}", timeout=60).json()
        assert float(row["latitude"]) == pytest.approx(truth["location"]["lat"], abs=1e-7)
        assert float(row["longitude"]) == pytest.approx(truth["location"]["lng"], abs=1e-7)
    for row in rows:
        assert row["pano_id"].encode() in (folder / "tree" / row["file"]).read_bytes()
    locations = layouts.read(folder / "tree")
    labels = labelling.label(locations, partition.read(folder / "partition.geojson"))
    assert not labels.outside
    assert not labels.disagreements


def test_what_is_printed(folder, scraped):
    assert "9 cells x 4 locations x 3 views: 108 images" in scraped.stdout
    assert "36 of 36 locations" in scraped.stdout
    assert "108 images in this run, 0.76 USD in all" in scraped.stdout
    assert f"complete; next: python -m tools.check_tree --tree={folder / 'tree'}" in scraped.stdout
    assert "36/36" in scraped.stderr


def test_the_tree_becomes_a_dataset(folder, scraped):
    road.program("tools.check_tree", f"--tree={folder / 'tree'}")
    flags = (f"--manual_dir={folder / 'tree'}", f"--data_dir={folder / 'data'}")
    done = road.program("tensorflow_datasets.scripts.cli.main", "build", "geods", "--config=random", *flags)
    assert "36" in done.stdout + done.stderr


def test_the_same_command_does_nothing_more_and_the_saved_flags_go_on(folder, server, scraped):
    before = server.stats()["requests"]
    done = scraper_soak.scrape(server.url, folder, "tree", *QUICK, "--locations_per_cell=4")
    assert "0 images in this run, 0.76 USD in all" in done.stdout
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": canary.CANARY}
    again = [sys.executable, "-m", "tools.scrape", f"--flagfile={folder / 'tree' / 'scrape.cfg'}"]
    done = starts.run(again, environment)
    assert done.returncode == 0, done.stderr
    assert server.stats()["requests"] == before


def test_a_dry_run_spends_nothing(folder, server):
    before = server.asked()
    done = scraper_soak.scrape(server.url, folder, "dry", "--dry_run", "--locations_per_cell=4")
    assert done.returncode == 0, done.stderr
    assert "36 of 36 locations" in done.stdout
    assert "a dry run: no image was asked for" in done.stdout
    assert server.asked() == before
    assert not (folder / "dry").exists()


def test_a_dry_run_tells_the_price_of_what_it_found(folder, server, tmp_path):
    partition.write(
        partition.Partition((shapely.box(-104, 35, -103, 36), shapely.box(-140, 0, -139, 1))),
        tmp_path / "partition.geojson",
    )
    done = scraper_soak.scrape(server.url, tmp_path, "dry", "--dry_run", "--locations_per_cell=2")
    assert done.returncode == 6, done.stderr
    assert "12 images to come" in done.stdout
    assert "6 images of these: at least 0.0 minutes at 10 a second, 0.04 USD" in done.stdout
    assert "under target: some cells stay under their target" in done.stdout


def test_a_dry_run_with_a_wrong_key_says_so(folder, server):
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": "another-key-than-that"}
    command = scraper_soak.command(server.url, folder, "denied_dry", "--dry_run")
    done = starts.run(command, environment)
    assert done.returncode == 3
    assert "denied: metadata: REQUEST_DENIED" in done.stdout
    assert "check the key" in done.stdout


def test_the_command_that_goes_on_can_be_pasted(folder, server):
    done = scraper_soak.scrape(server.url, folder, "a tree", *QUICK, "--max_cost=0.05")
    assert done.returncode == 5, done.stderr
    words = shlex.split(done.stdout.strip().splitlines()[-1])
    assert words[-2:] == [f"--flagfile={folder / 'a tree' / 'scrape.cfg'}", "--max_cost=0.1"]
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": canary.CANARY}
    again = [sys.executable, *words[words.index("-m") :]]
    done = starts.run(again, environment)
    assert done.returncode == 5, done.stderr


FULL = """
set -e
mount -t tmpfs -o size=400k none "$1"; shift
place="$1"; shift
status() { set +e; "$@"; echo "exit $?"; set -e; }
status "$@"
cat /dev/zero > "$place/more" 2> "$place.said" || true
status "$@"
rm "$place/more"
mount -o remount,ro "$place"
status "$@"
mount -o remount,rw,size=20m "$place"
status "$@"
cp -r "$place/tree" "$place.kept"
"""


@pytest.mark.skipif(not CAN_MOUNT, reason="this user may not mount a file system in a namespace of its own")
def test_a_full_disk_and_a_read_only_one_lose_nothing(folder, server, scraped, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    command = scraper_soak.command(server.url, folder, place / "tree", *QUICK, "--locations_per_cell=4")
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": canary.CANARY}
    done = subprocess.run(
        [*namespaces.NAMESPACE, "sh", "-c", FULL, "sh", str(place), str(place), *command],
        cwd=checkout.REPO, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, second, _, fourth, _ = re.split(r"exit (\d+)\n", done.stdout)[::2]
    assert re.findall(r"exit (\d+)\n", done.stdout) == ["7", "7", "2", "0"]
    assert "disk is full" in first or "No space left" in first
    assert f"could not write {place / 'tree'}/cells.csv" in first
    assert "locations are there" in second
    assert "make room, then run the same command again" in done.stderr
    assert "make it writable, or name another place" in done.stderr
    assert "36 of 36 locations" in fourth
    assert scraper_soak.contents(tmp_path / "disk.kept") == scraper_soak.contents(folder / "tree")


def test_nothing_is_spent_by_default(folder, server):
    done = scraper_soak.scrape(server.url, folder, "poor")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --max_cost=0: buys no image at 7 USD a thousand")
    assert not (folder / "poor").exists()


def test_a_wrong_key_ends_at_once(folder, server):
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": "another-key-than-that"}
    command = scraper_soak.command(server.url, folder, "denied", *QUICK)
    done = starts.run(command, environment)
    assert done.returncode == 3
    assert "denied: " in done.stdout
    assert "check the key" in done.stdout
    assert "another-key-than-that" not in done.stdout + done.stderr


def test_no_key(folder, server):
    environment = {name: value for name, value in os.environ.items() if name != "GOOGLE_MAPS_API_KEY"}
    command = scraper_soak.command(server.url, folder, "none", *QUICK)
    done = starts.run(command, environment)
    assert done.returncode == 2
    assert "GOOGLE_MAPS_API_KEY is not set" in done.stderr
    assert "--api_key_file" in done.stderr


def test_a_key_from_a_file(folder, server, tmp_path):
    path = tmp_path / "key"
    path.write_text(canary.CANARY, encoding="ascii")
    environment = {name: value for name, value in os.environ.items() if name != "GOOGLE_MAPS_API_KEY"}
    command = scraper_soak.command(
        server.url, folder, "filed", *QUICK, "--locations_per_cell=1", f"--api_key_file={path}"
    )
    path.chmod(0o644)
    done = starts.run(command, environment)
    assert done.returncode == 2
    assert f"chmod 600 {path}" in done.stderr
    path.chmod(0o600)
    done = starts.run(command, environment)
    assert done.returncode == 0, done.stderr
    canary.assert_no_key(folder / "filed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_is_under_way(folder, server, number):
    name = f"stopped{number}"
    environment = os.environ | {"GOOGLE_MAPS_API_KEY": canary.CANARY}
    command = scraper_soak.command(server.url, folder, name, *QUICK, "--images_per_s=20", "--locations_per_cell=30")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=checkout.REPO, env=environment, **pipes) as scraper:
        while not list((folder / name).glob("[0-9]*/*")):
            time.sleep(0.05)
        scraper.send_signal(number)
        said, complained = scraper.communicate(timeout=60)
    assert scraper.returncode == 130
    assert "finishing what is under way" in complained
    assert "Traceback" not in complained
    assert "interrupted: " in said
    assert f"Go on: python -m tools.scrape --flagfile={folder / name / 'scrape.cfg'}" in said
    status = scrape_journal.read_status(folder / name)
    assert status.state == "stopped"
    assert status.locations == len(imagery_tree.read(folder / name))


def test_the_terms_are_not_passed_over():
    with pytest.raises(errors.OptionError, match="--accept_terms is not given"):
        scrape.Options(out="tree")
    assert scrape.Options(out="tree", accept_terms=True).api_base == "https://maps.googleapis.com"
    with pytest.raises(errors.OptionError, match="--fov_deg=200"):
        scrape.Options(out="tree", accept_terms=True, fov_deg=200)
    with pytest.raises(errors.OptionError, match="--workers=0"):
        scrape.Options(out="tree", accept_terms=True, workers=0)


def test_a_small_storm(tmp_path):
    seen = scraper_soak.storm(tmp_path, count=400)
    assert seen["requests"] > 280


def test_a_few_kills(tmp_path):
    seen = scraper_soak.kills(tmp_path, count=4)
    assert seen["kills"] == 4


def test_the_rate_is_reached(tmp_path):
    # Beside other work a machine may be too slow for the limit; then it is as fast as without one.
    for attempt in range(3):
        limited, free = tmp_path / f"limited{attempt}", tmp_path / f"free{attempt}"
        limited.mkdir()
        seen = scraper_soak.rate(limited, images_per_s=40, seconds=3)
        if seen["share"] >= 0.9:
            return
        free.mkdir()
        if seen["reached"] >= 0.9 * scraper_soak.rate(free, images_per_s=400, seconds=0.3)["reached"]:
            return
    raise AssertionError(f"the limit was never reached: {seen}")


def test_the_help_lists_what_decides_the_price(tmp_path):
    done = starts.run(["-m", "tools.scrape", "--help"])
    for flag in ("max_cost", "price_per_1000", "free_images", "dry_run", "radius_m", "pitch_deg", "api_key_file"):
        assert f"--{flag}" in done.stdout.replace("--[no]", "--")
    assert "_key=" not in done.stdout.replace("GOOGLE_MAPS_API_KEY=", "")
    assert pathlib.Path(tmp_path).is_dir()

"""Programs on URLs beyond reading and writing: killed scrapes, bad images, bars."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import bucket_server
import canary
import drawn_trees
import numpy as np
import pytest
import road
import scraper_soak
from bucket_server import TFDS, contents, kill_when, let_leases_grow_old, put_folder, server, store

from geods.geo import partition

__all__ = ["server", "store"]
SCRAPE = ("--max_cost=100", "--height_px=60", "--width_px=120", "--locations_per_cell=3")
# Enough to fill all splits, with two views each.
LOCATIONS = 24
# Of their images one is bad.
ALLOWED = "--max_bad_fraction=0.03"


def test_a_scrape_that_was_killed_goes_on_elsewhere_and_pays_nothing_twice(store, tmp_path, monkeypatch):
    partition.write(scraper_soak.cells(2), tmp_path / "partition.geojson")
    monkeypatch.setenv("GEODS_MIRROR_SEND_S", "0.05")
    monkeypatch.setenv("GOOGLE_MAPS_API_KEY", canary.CANARY)
    with scraper_soak.service(tmp_path) as street_view:
        assert scraper_soak.scrape(street_view.url, tmp_path, "tree", *SCRAPE, "--images_per_s=1000").returncode == 0
        wanted, paid = scraper_soak.contents(tmp_path / "tree"), street_view.asked()
        command = scraper_soak.command(street_view.url, tmp_path, "tree", *SCRAPE, "--images_per_s=4")
        command = [f"--out={store}/tree" if word.startswith("--out=") else word for word in command]
        with road.started(*command[command.index("-m") + 1 :]) as process:
            kill_when(process, lambda: len(contents(f"{store}/tree", r"/\d+/.*jpg")) > 6)
        shutil.rmtree(tmp_path / "mirror")
        let_leases_grow_old(store)
        saved = contents(f"{store}/tree", "scrape.cfg")["scrape.cfg"].decode()
        assert f"--out={store}/tree\n" in saved
        road.program("tools.scrape", f"--flagfile={store}/tree/scrape.cfg", "--images_per_s=1000")
        # What was on its way when it was killed, of each worker, and what the bucket had not got yet.
        assert street_view.asked() - paid <= paid + 8 + 4
    bucket_server.system().get(f"{store}/tree/".removeprefix("s3://"), f"{tmp_path / 'got'}/", recursive=True)
    assert scraper_soak.contents(tmp_path / "got") == wanted


@pytest.fixture
def tree(store, tmp_path, monkeypatch) -> str:
    """URL of a tree of which one image is damaged, which builds allow."""
    monkeypatch.setenv("GEODS_MAX_BAD_FRACTION", ALLOWED.partition("=")[2])
    folder = tmp_path / "tree"
    for name in drawn_trees.location_ids(LOCATIONS):
        lat, lon = map(float, name.split(","))
        (cell,) = drawn_trees.cells().label(np.array([lat]), np.array([lon]))
        place = folder / str(cell) / name
        place.mkdir(parents=True)
        for heading in drawn_trees.HEADINGS[:2]:
            road.draw(lat, lon, heading).save(place / f"{heading}_2012-05.jpg")
    partition.write(drawn_trees.cells(), folder / "partition.geojson")
    bad = sorted(folder.rglob("*.jpg"))[5]
    bad.write_bytes(bad.read_bytes()[:300])
    put_folder(folder, f"{store}/tree")
    return f"{store}/tree"


def bad_images(url: str) -> set[str]:
    """The images of a place that are cut off."""
    return {name for name, content in contents(url, r"jpg$").items() if len(content) == 300}


@pytest.mark.parametrize("how", ["check_tree", "build"])
def test_bad_images_are_moved_within_the_bucket(how, tree, store, monkeypatch):
    (bad,) = bad_images(tree)
    if how == "check_tree":
        road.program("tools.check_tree", f"--tree={tree}", "--on_bad_image=quarantine", ALLOWED)
    else:
        monkeypatch.setenv("GEODS_ON_BAD_IMAGE", "quarantine")
        done = road.program(TFDS, "build", "geods", "--config=random", f"--manual_dir={tree}", f"--data_dir={store}/d")
        assert str(pathlib.Path("mirror")) not in done.stdout
    assert bad_images(tree) == set()
    assert bad_images(f"{tree}.quarantine") == {bad}
    assert len(contents(f"{tree}.quarantine", "")) == 2


def test_hashes_are_recorded_in_the_bucket_and_nothing_else_is_written(tree, store):
    before = contents(tree, "")
    road.program("tools.check_tree", f"--tree={tree}", "--on_bad_image=skip", ALLOWED)
    assert contents(tree, "") == before
    road.program("tools.check_tree", f"--tree={tree}", "--on_bad_image=skip", ALLOWED, "--record")
    after = contents(tree, "")
    assert after.pop("images.sha256")
    assert after == before
    done = road.program("tools.check_tree", f"--tree={tree}/none", "--record", expect=2)
    assert f"{tree}/none is no folder" in done.stderr


def test_a_dataset_that_was_half_sent_is_built_anew(tree, store, monkeypatch):
    monkeypatch.setenv("GEODS_ON_BAD_IMAGE", "skip")
    words = (TFDS, "build", "geods", "--config=random", f"--manual_dir={tree}", f"--data_dir={store}/d")
    road.program(*words)
    whole = contents(f"{store}/d", "")
    system, folder = bucket_server.system(), f"{store}/d/geods/random/1.0.0".removeprefix("s3://")
    for name in ("dataset_info.json", "seal.json", "metadata.json"):
        system.rm_file(f"{folder}/{name}")
    shard = next(name for name in whole if "geods-train.tfrecord" in name)
    system.pipe_file(f"{store}/d/{shard}".removeprefix("s3://"), b"of another try")
    road.program(*words)
    assert contents(f"{store}/d", "") == whole


def test_a_tree_becomes_another_layout_and_an_import_in_the_bucket(tree, store):
    road.program("tools.convert_tree", f"--source={tree}", f"--out={store}/flat", "--to=combined_files")
    assert len(contents(f"{store}/flat", "jpg$")) == 2 * LOCATIONS
    flags = ("--on_bad_image=skip", f"--partition={tree}/partition.geojson")
    bucket_server.system().pipe_file(
        f"{store}/table.csv".removeprefix("s3://"),
        "".join(
            ["file,latitude,longitude\n"]
            + [f'"{name}",{name.split("+")[1]}\n' for name in contents(f"{store}/flat", "jpg$")]
        ).encode(),
    )
    road.program(
        "tools.import_images", f"--source={store}/flat", f"--csv={store}/table.csv", f"--out={store}/mine", *flags
    )
    assert len(contents(f"{store}/mine", "jpg$")) == 2 * LOCATIONS - 1


def test_runs_are_compared_in_the_bucket(store, run_dir, tmp_path):
    local = tmp_path / "run"
    shutil.copytree(run_dir, local)
    road.program("trainers.evaluate", f"--run_dir={local}")
    put_folder(local, f"{store}/runs/a")
    put_folder(local, f"{store}/runs/b")
    compared = f"--compare={store}/runs/a,{store}/runs/b"
    done = road.program("tools.render", compared, f"--out={store}/both.png")
    assert f"written {store}/both.png" in done.stdout
    assert contents(store, "both.png$")
    # A run of paths of this machine, in a bucket; its figures go elsewhere, so that it is only read.
    road.program("trainers.evaluate", f"--run_dir={store}/runs/a", f"--out={store}/elsewhere")
    found = json.loads(contents(f"{store}/elsewhere", "metrics.json")["metrics.json"])
    assert found.pop("run") == f"{store}/runs/a"
    wanted = json.loads((local / "metrics.json").read_bytes())
    assert {**found, "run": str(local)} == wanted


def test_recipes_are_read_from_the_bucket_before_they_are_looked_at(store):
    words = ("tools.leaderboard", f"--out={store}/board", f"--data_dir={store}/none")
    done = road.program(*words, f"--recipes={store}/own.cfg@pooled", expect=2)
    assert f"there is no recipe {store}/own.cfg" in done.stderr
    assert sys.executable not in done.stderr


def test_an_interrupted_program_sends_what_it_has_finished(store, extract_flags, monkeypatch, tmp_path):
    # Nothing is sent but in the end.
    monkeypatch.setenv("GEODS_MIRROR_SEND_S", "1000")
    with road.started("trainers.extract", *extract_flags, f"--cache_dir={store}/cache") as process:
        end_s = time.monotonic() + 120
        while not list((tmp_path / "mirror").rglob("train/blocks/0*.npy")):
            assert process.poll() is None, process.stderr
            assert time.monotonic() < end_s
            time.sleep(0.02)
        process.send(signal.SIGINT)
        assert process.wait() == 130, process.stderr
        said = process.stderr
    assert "sending what is finished; interrupt again to leave it" in said
    assert said.rstrip().endswith("interrupted")
    keys = bucket_server.keys(store.removeprefix("s3://"))
    assert "cache/train/blocks/00000.npy" in keys
    assert not [key for key in keys if "claim" in key]


def test_a_dataset_is_built_anew_where_it_was(tree, store, monkeypatch):
    monkeypatch.setenv("GEODS_ON_BAD_IMAGE", "skip")
    words = [TFDS, "build", "geods", "--config=random", f"--manual_dir={tree}", f"--data_dir={store}/d"]
    road.program(*words)
    system = bucket_server.system()
    gone = next(iter(contents(tree, r"\d+/.*/90_.*jpg$")))
    system.rm_file(f"{tree}/{gone}".removeprefix("s3://"))
    failed = road.program(*words, expect=1).stderr
    assert f"{store}/d/geods/random/1.0.0: was built with other images than {tree} has now:" in failed
    assert f"--manual_dir={tree} --data_dir={store}/d" in failed
    before = contents(f"{store}/d", "tfrecord")
    road.program(*words, "--overwrite")
    after = contents(f"{store}/d", "tfrecord")
    assert before.keys() == after.keys()
    assert before != after
    road.program("tools.verify", f"{store}/d")


def test_a_full_mirror_is_told_with_its_path(store, monkeypatch, tmp_path):
    code = (
        "import sys; from geods.storage import disk_errors\n"
        "disk_errors._free_bytes = lambda path: 10\n"
        f"sys.argv = ['simulate', '--partition={tmp_path / 'p'}', '--out={store}/t', '--locations_per_cell=1']\n"
        "import runpy; runpy.run_module('tools.simulate_tree', run_name='__main__', alter_sys=True)"
    )
    partition.write(drawn_trees.cells(), tmp_path / "p")
    put_folder(tmp_path, f"{store}/t")
    done = subprocess.run([sys.executable, "-c", code], cwd=road.REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "bytes are needed, 10 are free" in done.stderr
    assert f"error: {tmp_path / 'mirror'}: " in done.stderr


def test_workers_of_beam_do_not_build_where_urls_are(tree, store):
    words = (TFDS, "build", "geods", f"--manual_dir={tree}", f"--data_dir={store}/d")
    done = road.program(*words, "--beam_pipeline_options=runner=DirectRunner", expect=1)
    assert f"error: --beam_pipeline_options with {tree}: a URL is mirrored on this machine alone." in done.stderr

"""Trees whose scraper has stopped: waiting, resuming, refusing."""

import contextlib
import shutil
import signal
import sqlite3
import threading
import time

import keras
import numpy as np
import pytest
import road
import scraped_tree
from following import HEIGHT_PX, WIDTH_PX, settings_of
from PIL import Image

from geods import errors
from geods.cli import flags as cli_flags
from geods.dataset import splits
from geods.imagery.scraping import scrape_journal
from geods.tree import imagery_tree
from model import geolocator
from trainers import train
from trainers.runs import run_folder
from trainers.streaming import collection, encode_files, sources


def collection_of(settings):
    """A collection whose features of a view are its mean colour."""
    image = keras.Input((HEIGHT_PX, WIDTH_PX, 3), dtype="uint8")
    colour = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    encoder = encode_files.Encoder(keras.Model(image, colour), settings.data.batch_size)
    return collection.FeatureSplits(settings.streaming, settings.data, scraped_tree.cells(), encoder, seed=0)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A tree whose scraper ran out of money."""
    root = tmp_path_factory.mktemp("half") / "tree"
    scraped_tree.run(root, max_cost=1.0)
    assert scrape_journal.read_status(root).state == "stopped"
    return root


def test_a_scraper_that_stays_stopped_is_not_waited_for_for_ever(half, tmp_path, capsys):
    train.main(settings_of(half, tmp_path, follow=True, follow_timeout_s=0.5, epochs=1))
    text = capsys.readouterr().out
    assert text.count("the scraper has stopped") == 1
    assert "has not resumed for 0 s: training on what is there" in text or "for 1 s: training" in text
    assert text.index("round 1") < text.index("the scraper has stopped") < text.index("epoch 1/1")
    assert (tmp_path / run_folder.MODEL).is_file()


def test_ctrl_c_saves_what_is_trained_and_says_how_to_go_on(half, tmp_path):
    flagfile = tmp_path / "follow.cfg"
    flagfile.write_text(cli_flags.to_flagfile(settings_of(half, tmp_path / "run", follow=True)))
    folder = tmp_path / "run"
    with road.started("trainers.train", f"--flagfile={flagfile}") as follower:
        follower.wait_to_say("the scraper has stopped", follower.wait_to_say("round 1: "))
        follower.send(signal.SIGINT)
        assert follower.wait() == 130, follower.stderr
        again = f"python -m trainers.train --flagfile={folder / run_folder.FLAGS} --overwrite"
        assert again in follower.stdout
    checkpoint = folder / run_folder.CHECKPOINT
    model, kept = geolocator.load(folder / run_folder.MODEL), geolocator.load(checkpoint)
    weights = model.get_layer("classifier").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(weights, kept.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "no scraper has started there within 0 s"),
        ("tree", "holds images, but no scraper's journal to follow"),
        ("broken", "is not a scraper's journal"),
    ],
)
def test_what_cannot_be_followed_is_refused(half, tmp_path, name, message):
    if name == "tree":
        shutil.copytree(half, tmp_path / name, ignore=shutil.ignore_patterns("journal.sqlite"))
    if name == "broken":
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal.sqlite").write_bytes(b"no journal" * 100)
    with pytest.raises(errors.TreeError, match=message):
        sources.open_feed(settings_of(tmp_path / name, tmp_path, follow=True, follow_timeout_s=0.1).streaming)


def test_a_missing_tree_is_named(tmp_path):
    with pytest.raises(errors.MissingFileError, match="nowhere"):
        sources.open_feed(settings_of(tmp_path / "nowhere", tmp_path).streaming)


def test_a_journal_in_the_making_is_waited_for(half, tmp_path):
    # As a scraper makes it: an empty file first, then its tables.
    copy = tmp_path / "tree"
    shutil.copytree(half, copy)
    (copy / "journal.sqlite").write_bytes(b"")
    threading.Timer(0.3, lambda: shutil.copy(half / "journal.sqlite", copy / "journal.sqlite")).start()
    source = sources.open_feed(settings_of(copy, tmp_path, follow=True).streaming)
    assert len(source.update().locations) == len(imagery_tree.read(half))
    assert source.update().locations == []


def test_a_standing_tree_tells_that_its_scraper_has_more_to_do(half, tmp_path):
    news = sources.open_feed(settings_of(half, tmp_path).streaming).update()
    assert news.state == "done"
    assert news.locations == imagery_tree.read(half)
    assert "the scraper that fills it is stopped" in news.detail


def test_patience_ends_and_begins_anew():
    patience = sources.StallTimer(0.2)
    stopped, running = (sources.Update(state, "killed. Go on: this", []) for state in ("stopped", "running"))
    assert "killed. Go on: this" in patience.message(stopped)
    assert patience.message(running) == "the scraper resumes"
    assert patience.message(running) == ""
    time.sleep(0.3)
    patience.message(stopped)
    assert not patience.is_over
    time.sleep(0.3)
    assert "training on what is there" in patience.message(stopped)
    assert patience.is_over


def test_a_scraper_whose_key_was_refused_is_not_waited_for(half, tmp_path):
    copy = shutil.copytree(half, tmp_path / "tree")
    with contextlib.closing(sqlite3.connect(copy / "journal.sqlite")) as journal, journal:
        journal.execute("UPDATE run SET value = 'denied. ' || value WHERE name = 'detail'")
    update = sources.open_feed(settings_of(copy, tmp_path, follow=True).streaming).update()
    patience = sources.StallTimer(3600)
    assert patience.message(update).startswith("the scraper has ended: denied. ")
    assert patience.is_over


def test_a_damaged_image_leaves_its_location_out_while_following_and_is_refused_otherwise(half, tmp_path, capsys):
    copy = tmp_path / "tree"
    shutil.copytree(half, copy)
    locations = [place for place in imagery_tree.read(copy) if splits.random([place.location_id])[0] == splits.TRAIN]
    locations[0].views[0].path.write_bytes(locations[0].views[0].path.read_bytes()[:-50])
    locations[1].views[1].path.unlink()
    following = collection_of(settings_of(copy, tmp_path, follow=True, config="random"))
    assert following.add(locations) == len(locations) - 2
    text = capsys.readouterr().out
    assert f"{locations[0].location_id} is left out: {locations[0].views[0].path}: is truncated." in text
    assert f"{locations[1].location_id} is left out: {locations[1].views[1].path}: cannot be read" in text
    with pytest.raises(errors.ImageError, match=r"1 of .* images cannot be used"):
        collection_of(settings_of(copy, tmp_path, config="random")).add([*locations[:1], *locations[2:]])


def test_a_full_memory_ends_the_pick_up_and_is_refused_for_a_tree_that_stands(half, tmp_path):
    locations = imagery_tree.read(half)
    a_view_gb = 2 * 3 / 1e9
    following = collection_of(settings_of(half, tmp_path, follow=True, memory_gb=11.5 * a_view_gb))
    assert following.capacity == 11
    assert following.add(locations) == 5
    assert following.is_full
    with pytest.raises(errors.OptionError, match=r"--memory_gb=.*: the features of"):
        collection_of(settings_of(half, tmp_path, memory_gb=11.5 * a_view_gb)).add(locations)


def test_nothing_to_train_on_is_said(half, tmp_path):
    tests = [place for place in imagery_tree.read(half) if splits.random([place.location_id])[0] == splits.TEST]
    gathered = collection_of(settings_of(half, tmp_path, config="random"))
    assert gathered.add(tests) == 0
    with pytest.raises(errors.DatasetError, match=f"no location to train on .* {len(tests)} kept for the test"):
        gathered.splits()


def test_features_belong_to_their_views_however_they_come(half, tmp_path):
    locations = imagery_tree.read(half)
    at_once, by_and_by = (collection_of(settings_of(half, tmp_path, config="random")) for _ in range(2))
    at_once.add(locations)
    for start in range(0, len(locations), 7):
        by_and_by.add(locations[::-1][start : start + 7])
    for first, second in zip(at_once.splits(), by_and_by.splits(), strict=True):
        assert np.array_equal(first.location_ids, second.location_ids)
        assert np.array_equal(first.coords, second.coords)
        for number in range(len(first.inputs)):
            (mine, truth), (theirs, same) = first.inputs[number], second.inputs[number]
            assert np.array_equal(truth, same)
            assert np.allclose(mine["features"], theirs["features"], atol=1e-3)
    place = next(place for place in locations if place.location_id == at_once.splits()[1].location_ids[0])
    pixels = np.stack([np.asarray(Image.open(view.path), np.float32) for view in place.views])
    assert np.allclose(at_once.splits()[1].inputs[0][0]["features"][0], pixels.mean(axis=(1, 2)) / 255, atol=1e-3)

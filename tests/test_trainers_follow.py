"""Training while a real scraper fills the tree, in a process of its own."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
import road
import scraped_tree
from PIL import Image

from geods import cli, datasets, errors, splits, tree
from geods.scraping import journal
from model import geolocator
from tools import predict
from trainers import arrivals, collection, encoding, evaluate, memory, options, runs, train

HEIGHT_PX, WIDTH_PX = scraped_tree.SIZE_PX
FLAGS = {
    "backbone": "mobilenet_v2",
    "backbone_weights": "random",
    "layer": "block_6_expand_relu",
    "pooling": "avg",
    "height_px": HEIGHT_PX,
    "width_px": WIDTH_PX,
    "head": "linear",
    "epochs": 4,
    "learning_rate": 0.1,
    "follow_min_locations": 20,
    "follow_poll_s": 0.3,
    "batch_size": 16,
}


class Follower:
    """`trainers.train` as a process of its own, whose lines can be waited for."""

    def __init__(self, settings, folder):
        flagfile = folder / "follow.cfg"
        flagfile.write_text(cli.to_flagfile(settings))
        self.lines = []
        self.errors = (folder / "stderr.txt").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trainers.train", f"--flagfile={flagfile}"],
            cwd=road.REPO,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def wait_for(self, words):
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return
        raise AssertionError(f"{words!r} never came:\n{''.join(self.lines)}\n{self.stderr()}")

    def end(self):
        self.lines += self.process.stdout.readlines()
        return self.process.wait(), "".join(self.lines)

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read()


def settings_of(tree_dir, run_dir, **changes):
    return options.TrainOptions(imagery=str(tree_dir), run_dir=str(run_dir), **(FLAGS | changes))


def collection_of(settings):
    """A collection whose features of a view are its mean colour."""
    image = keras.Input((HEIGHT_PX, WIDTH_PX, 3), dtype="uint8")
    colour = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    encoder = encoding.Encoder(keras.Model(image, colour), settings.batch_size)
    return collection.Collection(settings, scraped_tree.cells(), encoder)


def matched(pattern, text):
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in:\n{text}"
    return tuple(int(number.replace(",", "")) for number in found.groups())


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A tree whose scraper ran out of money."""
    root = tmp_path_factory.mktemp("half") / "tree"
    scraped_tree.run(root, max_cost=1.0)
    assert journal.read_status(root).state == "stopped"
    return root


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A run that followed a scraper from before its start, through its running out of money, to its end."""
    folder = tmp_path_factory.mktemp("followed")
    root = folder / "tree"
    settings = settings_of(root, folder / "run", follow=True, config="random", data_dir=str(folder / "data"))
    with Follower(settings, folder) as follower:
        follower.wait_for("no scraper has begun there; waiting")
        assert scraped_tree.start(root, max_cost=1.2).wait() == 0
        follower.wait_for("the scraper has stopped: budget")
        with scraped_tree.start(root, images_per_s=60) as scraper:
            follower.wait_for("the scraper goes on")
            follower.wait_for("round ")
            assert scraper.poll() is None
            assert scraper.wait() == 0
        code, text = follower.end()
        assert code == 0, text + follower.stderr()
    (folder / "stdout.txt").write_text(text)
    return folder


def test_it_follows_a_scraper_from_before_its_start_to_its_end(followed):
    text = (followed / "stdout.txt").read_text()
    assert "Go on: python -m tools.scrape --flagfile=" in text
    seen = [int(number) for number in re.findall(r"round \d+: (\d+) training locations", text)]
    assert len(seen) >= 2
    assert seen == sorted(set(seen))
    assert len(re.findall(r"round .* validation [\d.,]+ miles on \d+", text)) == len(seen)
    pattern = r"the scraper is done \(complete\): (\d+) locations to train on, (\d+) for validation, (\d+) kept"
    counts = matched(pattern, text)
    names = splits.random([place.location_id for place in tree.read(followed / "tree")])
    assert counts == tuple(int(np.sum(names == name)) for name in splits.NAMES)
    assert sum(counts) == scraped_tree.LOCATIONS
    assert "epoch 4/4: loss" in text
    assert list((followed / "run" / runs.EVENTS / "follow").iterdir())


def test_the_result_is_that_of_a_training_on_the_whole_tree(followed, tmp_path, capsys):
    settings = settings_of(followed / "tree", tmp_path, config="random")
    train.main(settings)
    assert "holds 120 locations" in capsys.readouterr().out
    first, second = (geolocator.load(folder / runs.MODEL).get_weights() for folder in (followed / "run", tmp_path))
    assert all(np.allclose(a, b, atol=0.02, rtol=0.02) for a, b in zip(first, second, strict=True))


def test_a_dataset_of_the_tree_has_the_same_splits_and_evaluates_the_run(followed, capsys):
    text = (followed / "stdout.txt").read_text()
    command = re.search(r"next: (tfds build geods .*)\nthen: (python -m trainers.evaluate .*)\n", text)
    road.program("tensorflow_datasets.scripts.cli.main", *command[1].split()[1:])
    evaluate.main(options.EvaluateOptions(run_dir=str(followed / "run")))
    test = set(datasets.index(datasets.open_builder(followed / "data", "random"), "test").location_ids)
    with open(followed / "run" / runs.PREDICTIONS, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["location_id"] for row in rows} == test
    assert f"{len(rows)} kept for the test\n" in text
    image = next((followed / "tree").rglob("*.jpg"))
    predict.main(predict.Options(run_dir=str(followed / "run"), images=(str(image),)))
    assert '"top_cells"' in capsys.readouterr().out


def test_a_scraper_that_stays_stopped_is_not_waited_for_for_ever(half, tmp_path, capsys):
    train.main(settings_of(half, tmp_path, follow=True, follow_timeout_s=0.5, epochs=1))
    text = capsys.readouterr().out
    assert text.count("the scraper has stopped") == 1
    assert "has not gone on for 0 s: training on what is there" in text or "for 1 s: training" in text
    assert text.index("round 1") < text.index("the scraper has stopped") < text.index("epoch 1/1")
    assert (tmp_path / runs.MODEL).is_file()


def test_ctrl_c_saves_what_is_trained_and_says_how_to_go_on(half, tmp_path, capfd):
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    checkpoint = tmp_path / runs.CHECKPOINT

    def interrupt():
        while not checkpoint.is_file():
            time.sleep(0.1)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            train.main(settings_of(half, tmp_path, follow=True))
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert f"python -m trainers.train --flagfile={tmp_path / runs.FLAGS} --overwrite" in capfd.readouterr().out
    model, kept = geolocator.load(tmp_path / runs.MODEL), geolocator.load(checkpoint)
    weights = model.get_layer("classifier").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(weights, kept.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "no scraper has begun there within 0 s"),
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
        arrivals.open_source(settings_of(tmp_path / name, tmp_path, follow=True, follow_timeout_s=0.1))


def test_a_missing_tree_is_named(tmp_path):
    with pytest.raises(errors.MissingFileError, match="nowhere"):
        arrivals.open_source(settings_of(tmp_path / "nowhere", tmp_path))


def test_a_journal_in_the_making_is_waited_for(half, tmp_path):
    # As a scraper makes it: an empty file first, then its tables.
    copy = tmp_path / "tree"
    shutil.copytree(half, copy)
    (copy / "journal.sqlite").write_bytes(b"")
    threading.Timer(0.3, lambda: shutil.copy(half / "journal.sqlite", copy / "journal.sqlite")).start()
    source = arrivals.open_source(settings_of(copy, tmp_path, follow=True))
    assert len(source.news().locations) == len(tree.read(half))
    assert source.news().locations == []


def test_a_standing_tree_tells_that_its_scraper_has_more_to_do(half, tmp_path):
    news = arrivals.open_source(settings_of(half, tmp_path)).news()
    assert news.state == "done"
    assert news.locations == tree.read(half)
    assert "the scraper that fills it is stopped" in news.detail


def test_patience_ends_and_begins_anew():
    patience = arrivals.Patience(0.2)
    stopped, running = (arrivals.News(state, "killed. Go on: this", []) for state in ("stopped", "running"))
    assert "killed. Go on: this" in patience.on(stopped)
    assert patience.on(running) == "the scraper goes on"
    assert patience.on(running) == ""
    time.sleep(0.3)
    patience.on(stopped)
    assert not patience.is_over
    time.sleep(0.3)
    assert "training on what is there" in patience.on(stopped)
    assert patience.is_over


def test_a_damaged_image_leaves_its_location_out_while_following_and_is_refused_otherwise(half, tmp_path, capsys):
    copy = tmp_path / "tree"
    shutil.copytree(half, copy)
    locations = [place for place in tree.read(copy) if splits.random([place.location_id])[0] == splits.TRAIN]
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
    locations = tree.read(half)
    a_view_gb = 2 * 3 / 1e9
    following = collection_of(settings_of(half, tmp_path, follow=True, memory_gb=11.5 * a_view_gb))
    assert following.capacity == 11
    assert following.add(locations) == 5
    assert following.is_full
    with pytest.raises(errors.OptionError, match=r"--memory_gb=.*: the features of"):
        collection_of(settings_of(half, tmp_path, memory_gb=11.5 * a_view_gb)).add(locations)


def test_nothing_to_train_on_is_said(half, tmp_path):
    tests = [place for place in tree.read(half) if splits.random([place.location_id])[0] == splits.TEST]
    gathered = collection_of(settings_of(half, tmp_path, config="random"))
    assert gathered.add(tests) == 0
    with pytest.raises(errors.DatasetError, match=f"no location to train on .* {len(tests)} kept for the test"):
        gathered.splits()


def test_features_belong_to_their_views_however_they_come(half, tmp_path):
    locations = tree.read(half)
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


def test_rows_in_memory_are_those_that_were_added():
    store = memory.FeatureMemory((2, 3))
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(0, 2, 3)).astype(np.float16)
    for number, views in enumerate([(1, 2), (3,), (1, 1, 1)]):
        places = [
            tree.Location(f"{number},{k}", number, k, 0, (tree.View(None, None, None),) * count)
            for k, count in enumerate(views)
        ]
        block = rng.normal(size=(sum(views), 2, 3)).astype(np.float16)
        store.add(places, block)
        rows = np.concatenate([rows, block])
    assert len(store) == len(rows) == 9
    assert store.rows.starts.tolist() == [0, 1, 3, 6, 7, 8, 9]
    chosen = rng.permutation(9)
    assert np.array_equal(store.take(chosen), rows[chosen])

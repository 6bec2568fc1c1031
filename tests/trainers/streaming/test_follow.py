"""Training while a real scraper fills the tree, in a process of its own."""

import csv
import re

import numpy as np
import pytest
import road
import scraped_tree
from following import settings_of

from geods.cli import flags
from geods.cli import flags as cli_flags
from geods.dataset import dataset_reader, splits
from geods.tree import imagery_tree
from model import geolocator
from tools import predict
from trainers import evaluate, train
from trainers.options import evaluate_options
from trainers.runs import run_folder


def matched(pattern, text):
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in:\n{text}"
    return tuple(int(number.replace(",", "")) for number in found.groups())


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A run that followed a scraper from before its start to its end.

    On the way the scraper runs out of money.
    """
    folder = tmp_path_factory.mktemp("followed")
    root = folder / "tree"
    settings = settings_of(root, folder / "run", follow=True, config="random", data_dir=str(folder / "data"))
    flagfile = folder / "follow.cfg"
    flagfile.write_text(flags.to_flagfile(settings))
    with road.started("trainers.train", f"--flagfile={flagfile}") as follower:
        said = follower.wait_to_say("no scraper has started there; waiting")
        assert scraped_tree.start(root, max_cost=1.2).wait() == 0
        said = follower.wait_to_say("the scraper has stopped: budget", said)
        # Or it could end before the first round of a busy machine.
        scraped_tree.hold_file(root).touch()
        with scraped_tree.start(root) as scraper:
            try:
                said = follower.wait_to_say("the scraper resumes", said)
                follower.wait_to_say("round ", said)
                assert scraper.poll() is None
            finally:
                scraped_tree.hold_file(root).unlink()
            assert scraper.wait() == 0
        assert follower.wait() == 0, follower.stdout + follower.stderr
        text = follower.stdout
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
    names = splits.random([place.location_id for place in imagery_tree.read(followed / "tree")])
    assert counts == tuple(int(np.sum(names == name)) for name in splits.NAMES)
    assert sum(counts) == scraped_tree.LOCATIONS
    assert "epoch 4/4: loss" in text
    assert list((followed / "run" / run_folder.FOLLOW).glob(run_folder.EVENTS))


def test_the_result_is_that_of_a_training_on_the_whole_tree(followed, tmp_path, capsys):
    settings = settings_of(followed / "tree", tmp_path, config="random")
    train.main(settings)
    assert "holds 120 locations" in capsys.readouterr().out
    first, second = (
        geolocator.load(folder / run_folder.MODEL).get_weights() for folder in (followed / "run", tmp_path)
    )
    assert all(np.allclose(a, b, atol=0.02, rtol=0.02) for a, b in zip(first, second, strict=True))


def test_a_dataset_of_the_tree_has_the_same_splits_and_evaluates_the_run(followed, capsys):
    text = (followed / "stdout.txt").read_text()
    command = re.search(r"next: (tfds build geods .*)\nthen: (python -m trainers.evaluate .*)\n", text)
    road.program("tensorflow_datasets.scripts.cli.main", *command[1].split()[1:])
    evaluate.main(cli_flags.build(evaluate_options.EvaluateOptions, run_dir=str(followed / "run")))
    test = set(dataset_reader.index(dataset_reader.open_builder(followed / "data", "random"), "test").location_ids)
    with open(followed / "run" / run_folder.PREDICTIONS, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["location_id"] for row in rows} == test
    assert f"{len(rows)} kept for the test\n" in text
    image = next((followed / "tree").rglob("*.jpg"))
    predict.main(predict.Options(run_dir=str(followed / "run"), images=(str(image),)))
    assert '"top_cells"' in capsys.readouterr().out

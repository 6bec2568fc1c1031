"""Every loader gives every image with its label, ours with Pillow's pixels."""

import importlib
import json
import shutil

import numpy as np
import pytest
import road
import starts
from PIL import Image

from geods import errors
from tools import benchmark_input
from tools.benchmarks import checks, harness, image_sets, large_photographs, trees

SIZE = (40, 60)


@pytest.fixture(scope="module")
def work(tree_dir, tmp_path_factory):
    """Some places of the small road, one of whose images has another size."""
    folder = tmp_path_factory.mktemp("benchmark")
    source = trees.resized(tree_dir, folder / "source", *SIZE, most=30)
    odd = min(source.glob("*/*/*.jpg"))
    Image.open(odd).resize((30, 20)).save(odd)
    with starts.warm_children(starts.HEAVY):
        image_sets.prepare(source, folder / "input", *SIZE)
    return folder


@pytest.fixture(scope="module")
def found(work):
    return image_sets.prepare(work / "source", work / "input", *SIZE)


@pytest.fixture(scope="module")
def expected(found):
    return checks.of_files(found.paths)


def test_the_set_holds_the_training_images_in_one_size(found):
    assert len(found.paths) == len(found.labels) > 50
    assert {np.asarray(Image.open(path)).shape for path in found.paths} == {(*SIZE, 3)}
    assert len(set(found.labels)) == max(found.labels) + 1 > 3


def test_a_set_of_other_images_is_refused(work, tree_dir):
    with pytest.raises(errors.BenchmarkError, match=r"was made of (.|\n)*name another --work_dir"):
        image_sets.prepare(tree_dir, work / "input", *SIZE)


@pytest.mark.parametrize("number", range(15))
def test_every_loader_gives_every_image_once(found, expected, number):
    contenders = benchmark_input.contenders(found)
    if number >= len(contenders):
        pytest.skip("not installed: one of torch, grain, webdataset, datasets")
    contender = contenders[number]
    module, _, name = contender.target.partition(":")
    loader = getattr(importlib.import_module(module), name)(**contender.arguments)
    assert loader.run() == contender.items == len(found.paths)
    benchmark_input.checker(found, expected)(contender, loader.facts())


def test_ours_is_refused_with_other_pixels_than_pillows(found, expected):
    check = benchmark_input.checker(found, expected)
    facts = expected | {"labels": list(found.labels)}
    check(benchmark_input.contenders(found)[0], facts)
    with pytest.raises(errors.BenchmarkError, match="its pixels are not Pillow's"):
        check(benchmark_input.contenders(found)[0], facts | {"hashes": ["0", *facts["hashes"][1:]]})
    check(harness.Contender("another", "", {}), facts | {"hashes": ["0", *facts["hashes"][1:]]})


def test_the_program_end_to_end(work):
    flags = [f"--images={work / 'source'}", f"--work_dir={work}", "--height_px=40", "--width_px=60", "--rounds=1"]
    done = road.program("tools.benchmark_input", *flags, f"--only={benchmark_input.OURS}")
    assert f"| {benchmark_input.OURS} " in done.stdout
    assert "share of the limit" in done.stdout
    line = json.loads((work / "input.jsonl").read_text().splitlines()[-1])
    assert line["contender"] == benchmark_input.OURS
    assert line["identical"] == 1
    assert line["dtype"] == "uint8"
    assert line["peak_rss_mb"] > 50
    assert line["rounds"] + line["dropped"] >= 1
    refused = road.program("tools.benchmark_input", *flags, "--only=nobody", expect=2)
    assert "choose from" in refused.stderr


def test_what_cannot_be_measured_is_refused(tmp_path):
    with pytest.raises(errors.OptionError, match="--rounds=0: must be at least 1"):
        benchmark_input.Options(rounds=0)
    with pytest.raises(errors.MissingFileError, match="name an imagery tree"):
        trees.ImageOptions(images=str(tmp_path / "nothing")).tree()


def test_pixels_are_spread_over_a_tree_and_never_repeated(work):
    assert trees.pixels(work / "source", 7, *SIZE).shape == (7, *SIZE, 3)
    with pytest.raises(errors.BenchmarkError, match="fewer than the 1000 wanted"):
        trees.pixels(work / "source", 1000, *SIZE)


def test_photographs_of_many_pixels_are_measured(work, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(large_photographs, "_SIZES_PX", ((240, 300),))
    # Their places do not count.
    tree = shutil.copytree(work / "source", tmp_path / "tree", ignore=shutil.ignore_patterns("partition.geojson"))
    words = {"images": str(tree), "work_dir": str(tmp_path), "rounds": 1, "photographs": True}
    benchmark_input.main(benchmark_input.Options(**words, height_px=SIZE[0], width_px=SIZE[1]))
    lines = [json.loads(line) for line in (tmp_path / "large.jsonl").read_text().splitlines()]
    assert [line["photograph"] for line in lines] == ["300x240, enlarged", "300x240, side by side"]
    printed = capsys.readouterr().out
    assert all(line["photograph"] in printed and 0 < line["difference"] < 16 for line in lines)

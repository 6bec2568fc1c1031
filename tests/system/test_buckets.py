"""All steps with every path a URL, against a real server.

Equal to the local ones, killed, and without a bucket.
"""

import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import bucket_server
import requests
import road
from bucket_server import server, store

from geods.remote import urls

__all__ = ["server", "store"]
# A clear error must come within so many seconds; and what is started at the same time slows it.
MOST_S = 30


def local_contents(folder: pathlib.Path, pattern: str) -> dict[str, bytes]:
    """The files of a folder whose paths match."""
    paths = [path for path in folder.rglob("*") if path.is_file() and re.search(pattern, path.as_posix())]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_the_whole_road_is_the_local_one(store, server, tree_dir, data_dir, cache_dir, extract_flags, tmp_path):
    bucket_server.put_folder(tree_dir, f"{store}/tree")
    build = (bucket_server.TFDS, "build", "geods", "--config=random")
    build += (f"--manual_dir={store}/tree", f"--data_dir={store}/data")
    road.program(*build)
    shards = r"/(geods-.*tfrecord.*|images.sha256|dataset_info.json)$"
    assert bucket_server.contents(f"{store}/data", shards) == local_contents(data_dir, shards) != {}
    # Already there, and the tree is compared with it: nothing is sent, and nothing brought again.
    got, put = server.objects_got(), len(server.objects_put())
    road.program(*build)
    assert [path for path in server.objects_put()[put:] if "claim" not in path] == []
    # The claim is looked at.
    assert server.objects_got() - got <= 8

    flags = [flag.replace(str(data_dir), f"{store}/data") for flag in extract_flags]
    done = road.program("trainers.extract", *flags, f"--cache_dir={store}/cache")
    assert f"{store}/cache/train" in done.stdout
    assert str(tmp_path / "mirror") not in done.stdout + done.stderr
    blocks = r"/(blocks/.*npy|index.npz)$"
    assert bucket_server.contents(f"{store}/cache", blocks) == local_contents(cache_dir, blocks) != {}

    flags = [f"--data_dir={store}/data", "--config=random", f"--cache_dir={store}/cache", f"--run_dir={store}/runs/a b"]
    done = road.program("trainers.train", *flags, "--epochs=2")
    assert f"wrote {store}/runs/a b/model.keras" in done.stdout
    assert (
        f"--cache_dir={store}/cache\n" in bucket_server.contents(f"{store}/runs", "flags.cfg")["a b/flags.cfg"].decode()
    )
    on_other_machines(store, tree_dir)


def play(store: str) -> None:
    """Guesses a location of a run and of a dataset that are in the bucket."""
    with road.started("tools.play", f"--run_dir={store}/runs/a b", "--port=0") as server:
        server.wait_to_say("stop with Ctrl-C\n")
        assert f"of {store}/data; play at" in server.stdout
        url = re.search(r"http://127\S+:\d+", server.stdout)[0]
        game = requests.post(f"{url}/games", timeout=60).json()["game"]
        assert requests.post(f"{url}/games/{game}/open", timeout=60).json()["round"] == 1
        guess = {"round": 1, "point": [0, 0], "views_seen": 1}
        assert requests.post(f"{url}/games/{game}/guess", json=guess, timeout=60).ok
        server.send(signal.SIGINT)
        assert server.wait(60) == 0
        assert f"--humans={store}/runs/a b/guesses.csv" in server.stdout
    assert b"\n" + game[:8].encode() in bucket_server.contents(f"{store}/runs", "guesses.csv")["a b/guesses.csv"]


def on_other_machines(store: str, tree_dir: pathlib.Path) -> None:
    """Uses a run on a machine that has none of its files: it knows their URLs."""
    machine = pathlib.Path(os.environ["GEODS_MIRROR"])
    shutil.rmtree(machine)
    done = road.program("trainers.evaluate", f"--run_dir={store}/runs/a b")
    assert f"wrote {store}/runs/a b/metrics.json" in done.stdout
    here = [path.relative_to(machine).as_posix() for path in machine.rglob("*.tfrecord*")]
    assert here == []
    done = road.program("tools.render", f"--run_dir={store}/runs/a b")
    assert f"written    {store}/runs/a b/map.html" in done.stdout
    play(store)
    image = sorted(tree_dir.rglob("*.jpg"))[0].relative_to(tree_dir)
    shutil.rmtree(machine)
    done = road.program("tools.predict", f"--run_dir={store}/runs/a b", f"{store}/tree/{image}")
    assert f'"file": "{store}/tree/{image}"' in done.stdout
    done = road.program("tools.verify", f"{store}/data", f"{store}/cache", f"{store}/runs/a b")
    assert done.stdout.count("whole") == 5
    # The same bytes as in the bucket, and what is damaged there is named.
    name = next(iter(bucket_server.contents(f"{store}/data", "tfrecord")))
    bucket_server.system().pipe_file(f"{store}/data/{name}".removeprefix("s3://"), b"damaged")
    done = road.program("tools.verify", f"{store}/data", expect=2)
    assert f"damaged  {store}/data/{name}: has 7 bytes" in done.stdout
    assert [key for key in bucket_server.keys(store.removeprefix("s3://")) if key.endswith(("claim", ".lock"))] == []


def test_an_extraction_that_was_killed_goes_on_here_and_elsewhere(
    store, server, data_dir, cache_dir, extract_flags, monkeypatch, tmp_path
):
    bucket_server.put_folder(data_dir, f"{store}/data")
    monkeypatch.setenv("GEODS_MIRROR_SEND_S", "0.05")
    flags = [flag.replace(str(data_dir), f"{store}/data") for flag in extract_flags]
    one = server.takes_one(f"{store.removeprefix('s3:/')}/cache/.*/blocks/.*npy")
    with one, road.started("trainers.extract", *flags, f"--cache_dir={store}/cache") as process:
        bucket_server.kill_when(process, lambda: bucket_server.contents(f"{store}/cache", r"blocks/.*npy"))
    monkeypatch.delenv("GEODS_MIRROR_SEND_S")
    kept, blocks = bucket_server.contents(f"{store}/cache", ""), r"/(blocks/.*npy|index.npz)$"
    wanted = local_contents(cache_dir, blocks)
    assert {name: content for name, content in kept.items() if name.endswith(".npy")}.items() < wanted.items()
    for mirror_is_left in (True, False):
        if not mirror_is_left:
            shutil.rmtree(tmp_path / "mirror")
            system = bucket_server.system()
            system.rm(f"{store}/cache", recursive=True)
            for name, content in kept.items():
                system.pipe_file(f"{store}/cache/{name}", content)
        done = road.program("trainers.extract", *flags, f"--cache_dir={store}/cache")
        assert "Next" not in done.stderr
        assert bucket_server.contents(f"{store}/cache", blocks) == wanted
        assert [key for key in bucket_server.keys(store.removeprefix("s3://")) if "claim" in key] == []


def test_a_training_that_was_killed_goes_on_elsewhere(store, server, train_flags, monkeypatch, tmp_path):
    monkeypatch.setenv("GEODS_MIRROR_SEND_S", "0.05")
    flags = [*train_flags, "--epochs=12", "--deterministic"]
    one = server.takes_one(f"{store.removeprefix('s3:/')}/run/(unfinished/.*npz|model.keras)")
    with one, road.started("trainers.train", *flags, f"--run_dir={store}/run") as process:
        bucket_server.kill_when(process, lambda: bucket_server.contents(f"{store}/run", r"unfinished/.*npz"))
    assert bucket_server.contents(f"{store}/run", "model.keras") == {}
    shutil.rmtree(tmp_path / "mirror")
    bucket_server.let_leases_grow_old(store)
    monkeypatch.delenv("GEODS_MIRROR_SEND_S")
    done = road.program("trainers.train", *flags, f"--run_dir={store}/run")
    assert "epoch 1/12" not in done.stdout
    assert set(bucket_server.contents(f"{store}/run", r"model.keras|seal.json|unfinished")) == {
        "model.keras",
        "seal.json",
    }


def test_a_bucket_that_does_not_answer_is_one_error_in_time(monkeypatch, tmp_path):
    for name, value in bucket_server.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    words = {
        "extract": ("trainers.extract", "--data_dir=s3://bucket/data", f"--cache_dir={tmp_path / 'cache'}"),
        "build": (bucket_server.TFDS, "build", "geods", "--manual_dir=s3://bucket/tree", "--data_dir=s3://bucket/data"),
    }
    with bucket_server.silent() as silent, contextlib.ExitStack() as ends:
        began_s = time.monotonic()
        processes = []
        for program, port in itertools.product(words, (silent, bucket_server.free_port())):
            monkeypatch.setenv("GEODS_MIRROR", str(tmp_path / f"mirror{len(processes)}"))
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            processes.append((ends.enter_context(road.started(*words[program])), program))
        for process, program in processes:
            assert process.wait(90) == (2 if program == "extract" else 1)
        assert time.monotonic() - began_s < MOST_S
        said = [process.stderr for process, _ in processes]
    for text in said:
        assert re.search(r"error: s3://bucket/data(/geods)?: cannot be reached \(.*\)\.\nNext: check the network", text)
        assert "Traceback" not in text
    assert not (tmp_path / "cache").exists()
    left = [path for folder in tmp_path.glob("mirror*") for path in folder.rglob("*") if path.is_file()]
    assert [path for path in left if ".locks" not in path.parts] == []


def test_a_wrong_key_is_told_without_the_key(tmp_path, monkeypatch):
    with bucket_server.s3(tmp_path, INITIAL_NO_AUTH_ACTION_COUNT="0") as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GEODS_MIRROR", str(tmp_path / "mirror"))
        done = road.program("tools.verify", "s3://bucket/data", expect=2)
    assert "error: s3://bucket/data: access is refused" in done.stderr
    assert "Next: give credentials" in done.stderr
    assert not any(value in done.stderr for value in running.environment.values() if "us-" not in value)


def test_a_program_that_fails_leaves_nothing_but_what_it_finished(store, tmp_path):
    done = road.program("tools.make_partition", "--boundary=s3://nobody/b.zip", f"--out={store}/p.geojson", expect=2)
    assert "s3://nobody/b.zip: there is no such bucket" in done.stderr
    done = road.program("tools.make_partition", f"--boundary={store}/b.zip", f"--out={store}/p.geojson", expect=2)
    assert f"{store}/b.zip" in done.stderr
    assert bucket_server.keys(store.removeprefix("s3://")) == []
    road.program("tools.make_partition", "--boundary=demo", "--cell_deg=8", f"--out={store}/a, b.geojson")
    assert bucket_server.keys(store.removeprefix("s3://")) == ["a, b.geojson"]


def test_a_flag_file_may_be_in_a_bucket(store, tmp_path):
    bucket_server.system().pipe_file(
        f"{store}/x.cfg", b"--boundary=demo\n--cell_deg=8\n--out=" + store.encode() + b"/p"
    )
    road.program("tools.make_partition", f"--flagfile={store}/x.cfg")
    assert bucket_server.keys(store.removeprefix("s3://")) == ["p", "x.cfg"]
    done = road.program("tools.make_partition", f"--flagfile={store}/y.cfg", expect=2)
    assert f"{store}/y.cfg" in done.stderr


def test_a_library_that_is_missing_is_named(store):
    code = (
        "import sys; sys.modules['s3fs'] = None; sys.argv = ['verify', 's3://bucket/data']\n"
        "import runpy; runpy.run_module('tools.verify', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=road.REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == 'error: s3://bucket/data: s3fs is not installed.\nNext: pip install "geods[cloud]"\n'


def test_children_of_a_program_work_in_its_mirror(store, train_flags):
    done = road.program("trainers.cross_validate", *train_flags, "--epochs=2", "--folds=2", f"--run_dir={store}/cv")
    assert f"{store}/cv" in done.stdout
    assert {"fold0/model.keras", "fold1/metrics.json", "metrics.json"} <= set(bucket_server.contents(f"{store}/cv", ""))
    assert (
        f"--run_dir={store}/cv/fold0\n"
        in bucket_server.contents(f"{store}/cv", "flags.cfg")["fold0/flags.cfg"].decode()
    )
    assert urls.is_url(store)

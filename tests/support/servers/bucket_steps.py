"""Steps of tests of buckets with objects and programs."""

import json
import pathlib
import re
import signal
import time

import bucket_server
import starts

TFDS = "tensorflow_datasets.scripts.cli.main"


def put_folder(folder: pathlib.Path, url: str) -> None:
    """Copies a folder to a place without geods."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = [f"{url.removeprefix('s3://')}/{path.relative_to(folder).as_posix()}" for path in paths]
    bucket_server.system().put(list(map(str, paths)), names)


def contents(url: str, pattern: str) -> dict[str, bytes]:
    """The objects of a place whose keys match, without geods."""
    system, start = bucket_server.system(), len(url) - len("s3://") + 1
    names = [name for name in system.find(url.removeprefix("s3://")) if re.search(pattern, name)]
    return {name[start:]: system.cat_file(name) for name in names}


def let_leases_grow_old(url: str) -> None:
    """Makes the leases of a bucket as old as three minutes without renewal do."""
    system, bucket = bucket_server.system(), url.removeprefix("s3://").partition("/")[0]
    for name in [name for name in system.find(bucket) if name.endswith("geods-claim")]:
        system.pipe_file(name, json.dumps(json.loads(system.cat_file(name)) | {"renewed_s": 0}).encode())


def kill_when(process: starts.Started, ready) -> None:
    """Kills a process once something is so."""
    end_s = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.stderr
        assert time.monotonic() < end_s
        time.sleep(0.05)
    process.send(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

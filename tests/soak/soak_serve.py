"""Soak of a server under bad requests; `make soak` runs it.

    python tests/soak/soak_serve.py --requests=10000

Sends tools.serve what tests/support/servers/bad_requests.py describes: hostile files, half bodies, wrong methods, slow
and absent readers. Each must be answered with the right status or a closed connection, a good request between them with
a prediction, and the server must not grow: prints its memory after each tenth, and ends with an error if the last is
over 32 MB more than the third. Ten minutes.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import _support_path  # noqa: F401 - before the modules it makes known
import bad_requests
import drawn_runs
import drawn_trees
import psutil

_LIMIT_S, _PARTS, _GROWTH_MB = 2, 10, 32


def main() -> int:
    """Runs the soak; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        contents = bad_requests.bodies(folder / "files")
        (folder / "run").mkdir()
        run = drawn_runs.finish(folder / "run", drawn_trees.cells())
        words = [f"--run_dir={run}", "--port=0", f"--time_limit_s={_LIMIT_S}", "--max_mb=1"]
        command = [sys.executable, "-m", "tools.serve", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            try:
                return _flood(server, contents, count)
            finally:
                server.terminate()
                print(f"the server ended with {server.wait()}")


def _flood(server: subprocess.Popen, contents: list[bytes], count: int) -> int:
    """Sends the requests; returns 1 if the server has grown."""
    port = int(re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())[1])
    good = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", drawn_trees.jpeg(0, 40, 60), {"Content-Type": "image/jpeg"}
    )
    counts, sizes_mb, start_s = collections.Counter(), [], time.monotonic()
    for part in range(_PARTS):
        counts.update(bad_requests.flood(("127.0.0.1", port), count // _PARTS, contents[part:], _LIMIT_S))
        with urllib.request.urlopen(good, timeout=60) as answer:  # noqa: S310 - the address is written here
            assert answer.status == 200
        sizes_mb.append(psutil.Process(server.pid).memory_info().rss / 1e6)
        seconds = time.monotonic() - start_s
        print(f"{counts.total():,} bad requests answered in {seconds:,.0f} s, {sizes_mb[-1]:,.0f} MB", flush=True)
    print(", ".join(f"{kind}: {number:,}" for kind, number in sorted(counts.items())))
    return int(sizes_mb[-1] - sizes_mb[2] > _GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())

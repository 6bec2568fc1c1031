"""Soak of the scraper: faults and kills at any size.

`make soak` runs it at full size.

    python tests/soak/soak.py --requests=100000 --kills=200

Every part starts the real simulated service and the real scraper as processes of their own and prints what it saw:

    storm   a mix of all faults, 8 workers: nothing lost, nothing paid twice, never over --max_cost or the rate
    kills   kill -9 at random moments: in the end the same tree and journal as without
    rate    images a second at a given limit
"""

import argparse
import json
import pathlib
import tempfile
import time

import _support_path  # noqa: F401 - before the modules it makes known
import scraper_soak


def main() -> None:
    """Runs all parts at the sizes given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=200)
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name, part in (
            ("rate", lambda folder: [scraper_soak.rate(folder, limit, 20) for limit in (10, 50, 100, 200)]),
            ("kills", lambda folder: scraper_soak.kills(folder, sizes.kills)),
            ("storm", lambda folder: scraper_soak.storm(folder, sizes.requests)),
        ):
            folder = pathlib.Path(scratch, name)
            folder.mkdir()
            began_s = time.monotonic()
            print(f"{name}: {json.dumps(part(folder))} in {time.monotonic() - began_s:,.0f} s", flush=True)


if __name__ == "__main__":
    main()

"""Serves a simulated world as Google's Street View Static API.

    python -m tools.simulated_street_view --port=0

Needs no key and no network, costs nothing, and runs until Ctrl-C. First prints its address, which is what --api_base of
tools.scrape takes, the line that sets its made-up key, and where its ledger is. Its world covers every country, so any
partition will do. Only this machine can reach it. A process draws about 120 images of 600 x 300 a second, --processes=0
starts one on each core; with --picture=tiled some 2,000 are answered from a few drawings, for load tests. --faults
names a JSON file of faults to simulate (geods/simulation/server/faults.py has the format).
"""

import dataclasses
import signal
import threading

from geods import errors
from geods.cli import flags, program
from geods.imagery.street_view import street_view_options
from geods.simulation.server import server_options


@dataclasses.dataclass(frozen=True)
class Options(server_options.ServerOptions):
    """World, faults and port of the server."""

    port: int = flags.option(8090, "Port on this machine; 0 for any that is free.")
    faults: str = flags.option("", "JSON file with a list of faults; empty for none.", path="in")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range.
        """
        super().__post_init__()
        if not 0 <= self.port <= 65535:
            raise errors.OptionError(f"--port={self.port}: is not from 0 to 65535.", "give --port=0")


def main(options: Options) -> None:
    """Serves until it is interrupted."""
    from geods.simulation.server import faults as server_faults
    from geods.simulation.server import street_view_server

    planned = server_faults.read(options.faults) if options.faults else ()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with street_view_server.serving(options, planned, port=options.port) as server:
        print(f"simulated Street View at {server.url}", flush=True)
        for key in options.keys[:1]:
            print(f"export {street_view_options.KEY_ENV}={key}")
        print(f"ledger: {server.url}/__fake__/stats", flush=True)
        stop.wait()
        stats = server.stats()
    asked = sum(sum(counts.values()) for counts in stats["requests"].values())
    print(f"{asked:,} requests, {stats['unique_images']:,} different images sent, {stats['billable']:,} billable")


if __name__ == "__main__":
    program.run(Options, main)

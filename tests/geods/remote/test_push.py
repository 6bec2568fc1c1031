"""Files that go while they are being sent leave nothing behind in the bucket."""

import pathlib
import time

import bucket_server
from mirror_machines import server, store, work

__all__ = ["server", "store", "work"]
PLACES, VIEWS = 20, 20


def test_what_moves_while_it_is_sent_is_in_the_bucket_where_it_ends(store, work, monkeypatch, capsys):
    monkeypatch.setenv("GEODS_MIRROR_SEND_S", "0.001")

    def scrape(folder: pathlib.Path) -> None:
        # As the scraper does it: images come into a folder, which is then renamed.
        for number in range(PLACES):
            here = folder / ".incoming" / str(number)
            here.mkdir(parents=True)
            for view in range(VIEWS):
                (here / str(view)).write_bytes(b"%d" % number)
            time.sleep(0.05)
            here.replace(folder / str(number))

    work(f"s3://{store}/a", "out", scrape)
    wanted = {f"a/{number}/{view}" for number in range(PLACES) for view in range(VIEWS)}
    assert set(bucket_server.keys(store)) == wanted
    assert "is tried again" not in capsys.readouterr().err

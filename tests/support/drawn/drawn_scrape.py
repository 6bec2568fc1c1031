"""A small scrape of a drawn source, and the tree of a complete one."""

import drawn_source
import pytest
import shapely

from geods.geo import partition
from geods.imagery.scraping import options, scrape

CELLS = partition.Partition(tuple(shapely.box(x, y, x + 0.5, y + 0.5) for y in (40, 40.5) for x in (-100, -99.5)))
IMAGES = len(CELLS) * 3 * 3


def settings(out, **changes):
    usual = {"locations_per_cell": 3, "max_cost": 10, "images_per_s": 2000, "lookups_per_s": 2000}
    return options.ScrapeOptions(out=str(out), **(usual | changes))


def run(out, client=None, stop=None, cells=CELLS, config=None, listed=(), near=(), **changes):
    client, options = client or drawn_source.DrawnSource(), settings(out, **changes)
    return scrape.scrape(options, client, cells, config or {}, stop=stop, delay_factor=0.01, listed=listed, near=near)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole") / "tree"
    result = run(root)
    assert result.halt.reason == "complete"
    return root

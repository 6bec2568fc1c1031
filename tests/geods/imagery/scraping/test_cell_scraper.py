"""The stream of query points."""

import numpy as np
import pytest
import shapely

from geods import errors
from geods.geo import partition
from geods.imagery.scraping import cell_scraper

CELLS = partition.Partition((shapely.box(-100, 30, -98, 32), shapely.box(-98, 60, -90, 70)))


def test_points_depend_on_seed_cell_and_ordinal_alone():
    first = [cell_scraper.query_point(CELLS, 0, 1, ordinal) for ordinal in range(20)]
    assert [cell_scraper.query_point(CELLS, 0, 1, ordinal) for ordinal in reversed(range(20))][::-1] == first
    assert len(set(first)) == 20
    assert cell_scraper.query_point(CELLS, 1, 1, 0) != first[0]
    assert cell_scraper.query_point(CELLS, 0, 0, 0) != first[0]


def test_the_stream_is_the_same_on_every_machine():
    assert cell_scraper.query_point(CELLS, 0, 0, 0) == pytest.approx((31.1191003, -98.3655319), abs=1e-7)


def test_points_lie_in_the_cell_uniformly_by_area():
    drawn = np.array([cell_scraper.query_point(CELLS, 7, 1, ordinal) for ordinal in range(3000)])
    assert (CELLS.label(drawn[:, 0], drawn[:, 1]) == 1).all()
    # By area, sin(lat) is uniform: its mean is that of the bounds.
    expected = (np.sin(np.radians(60)) + np.sin(np.radians(70))) / 2
    assert np.sin(np.radians(drawn[:, 0])).mean() == pytest.approx(expected, abs=0.0015)


def test_a_cell_that_is_none_is_refused():
    with pytest.raises(errors.PartitionError, match="cell 2 is not one of 0 to 1"):
        cell_scraper.query_point(CELLS, 0, 2, 0)

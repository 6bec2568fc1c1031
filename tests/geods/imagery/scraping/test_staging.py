"""Images on their way into the tree."""

import pytest

from geods.imagery import source
from geods.imagery.scraping import journal_writer, staging
from geods.simulation import worlds

PANORAMA = source.Panorama("aB-_cD", 40.5, -99.5, "2015-06")
HEADINGS = (0, 90)
CLAIM = journal_writer.Reservation(7, 0, "40.5,-99.5", PANORAMA, HEADINGS)


@pytest.fixture(scope="module")
def pictures():
    return {heading: worlds.World().render(40.5, -99.5, heading, 24, 48) for heading in HEADINGS}


def test_a_location_appears_when_it_is_published(tmp_path, pictures):
    place = staging.StagedLocation(tmp_path, CLAIM)
    for heading in HEADINGS:
        assert not place.has(PANORAMA, heading)
        place.write(PANORAMA, heading, pictures[heading])
        assert place.has(PANORAMA, heading)
        assert not (tmp_path / "7").exists()
    facts = place.facts()
    place.publish()
    assert sorted(path.name for path in (tmp_path / "7" / "40.5,-99.5").iterdir()) == [
        "0_2015-06.jpg",
        "90_2015-06.jpg",
    ]
    assert [size for size, _ in facts.values()] == [len(pictures[heading]) for heading in HEADINGS]
    # As after a kill between the move and the journal's word of it.
    again = staging.StagedLocation(tmp_path, CLAIM)
    assert all(again.has(PANORAMA, heading) for heading in HEADINGS)
    assert again.facts() == facts
    again.publish()


def test_a_damaged_image_is_asked_for_again(tmp_path, pictures):
    place = staging.StagedLocation(tmp_path, CLAIM)
    place.write(PANORAMA, 0, pictures[0][:-40])
    assert not place.has(PANORAMA, 0)
    assert not list(tmp_path.rglob("*.jpg"))


def test_ids_that_differ_in_case_alone_do_not_meet(tmp_path, pictures):
    other = journal_writer.Reservation(7, 1, "40.6,-99.5", source.Panorama("Ab-_Cd", 40.6, -99.5, "2015-06"))
    staging.StagedLocation(tmp_path, CLAIM).write(PANORAMA, 0, pictures[0])
    assert not staging.StagedLocation(tmp_path, other).has(other.panorama, 0)
    names = [path.name.lower() for path in (tmp_path / ".incoming").iterdir()]
    staging.StagedLocation(tmp_path, other).write(other.panorama, 0, pictures[0])
    assert len({path.name.lower() for path in (tmp_path / ".incoming").iterdir()}) == len(names) + 1


def test_leftovers_of_kills_are_swept(tmp_path, pictures):
    other = journal_writer.Reservation(7, 1, "40.6,-99.5", source.Panorama("gone", 40.6, -99.5))
    staging.StagedLocation(tmp_path, CLAIM).write(PANORAMA, 0, pictures[0])
    staging.StagedLocation(tmp_path, other).write(other.panorama, 0, pictures[0])
    torn = next((tmp_path / ".incoming").iterdir()) / ".0_2015-06.abcd.tmp.jpg"
    torn.write_bytes(b"half")
    staging.sweep(tmp_path, {7: CLAIM})
    assert staging.StagedLocation(tmp_path, CLAIM).has(PANORAMA, 0)
    assert not staging.StagedLocation(tmp_path, other).has(other.panorama, 0)
    assert not list(tmp_path.rglob(".*.tmp.jpg"))
    staging.StagedLocation(tmp_path, CLAIM).discard()
    assert not list((tmp_path / ".incoming").iterdir())
    staging.sweep(tmp_path / "new", {})


def test_a_place_that_came_half_from_a_bucket_gives_way_to_its_images(tmp_path, pictures):
    place = staging.StagedLocation(tmp_path, CLAIM)
    for heading in HEADINGS:
        place.write(PANORAMA, heading, pictures[heading])
    half = tmp_path / "7" / "40.5,-99.5" / "0_2015-06.jpg"
    half.parent.mkdir(parents=True)
    half.write_bytes(pictures[0])
    staging.sweep(tmp_path, {7: CLAIM})
    assert not half.exists()
    assert all(place.has(PANORAMA, heading) for heading in HEADINGS)
    place.publish()
    assert len(list((tmp_path / "7" / "40.5,-99.5").iterdir())) == 2

"""Where a simulated server has panoramas, for tests that need one."""

from geods.simulation.server import street_view_server

# In the middle of the mainland and in the middle of the Pacific.
_BOX = (40.0, -100.0, 40.3, -99.7)
OCEAN = (0.0, -140.0)


def panos(server: street_view_server.Server, count: int = 1, official: bool = True) -> list:
    """Returns outdoor panoramas that answer a request for their own position."""
    found = []
    for pano in server.service.coverage.within(_BOX):
        fits = pano.official == official and not pano.indoor
        if fits and server.service.coverage.nearest(pano.lat_deg, pano.lon_deg, 50, True) == pano:
            found.append(pano)
        if len(found) == count:
            break
    assert len(found) == count
    return found

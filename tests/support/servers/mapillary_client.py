"""A client of the simulated Mapillary, for tests."""

import mapillary_server

from geods.imagery import source
from geods.imagery.http import api_key, transport
from geods.imagery.mapillary import mapillary_api, mapillary_options

PLACES = [(40.0 + row * 0.05, -100.0 + column * 0.05) for row in range(4) for column in range(4)]
QUICK = transport.Limits(connect_s=1, read_s=2, answer_s=4, max_bytes=2_000_000)


def client_of(service, token=mapillary_server.TOKEN, **changes):
    options = {"mapillary_api_base": service.url, "height_px": 60, "width_px": 120} | changes
    settings = mapillary_options.MapillaryOptions(**options)
    return mapillary_api.Mapillary(settings, api_key.Secret(token), QUICK)


def found_with(client):
    answers = (client.look_up(*place) for place in PLACES)
    return next(answer for answer in answers if isinstance(answer, source.Panorama))

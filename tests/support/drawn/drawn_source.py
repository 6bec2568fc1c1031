"""A source of imagery without a network: panoramas on a grid of a drawn world."""

import threading
import time

from geods import errors
from geods.imagery import source
from geods.simulation import worlds


class DrawnSource:
    """A source.Source whose panoramas stand every `step_deg` degrees.

    `script(kind, key, attempt)` may raise, or return bytes or a Panorama or Miss to give instead.
    """

    name, licence, has_own_licences, units_per_image = "drawn", "Apache-2.0", False, 1

    def __init__(self, step_deg=0.02, script=lambda kind, key, attempt: None, height_px=24, width_px=48):
        self.step_deg, self.script = step_deg, script
        self.size = (height_px, width_px)
        self.world = worlds.World(0, 0.2)
        self.lock = threading.Lock()
        self.sent = {}
        self.times_s = []

    def look_up(self, lat_deg, lon_deg):
        row, column = round(lat_deg / self.step_deg), round(lon_deg / self.step_deg)
        key = (row, column)
        told = self._told("look_up", key)
        if told is not None:
            return told
        if (row * 7 + column * 3) % 5 == 0:
            return source.Miss("zero_results")
        date = None if (row + column) % 11 == 0 else "2015-06"
        place = (row * self.step_deg, column * self.step_deg)
        return source.Panorama(f"pano{row}_{column}", *place, date, "© Google", self.name, self.licence)

    def find(self, pano_id):
        row, column = map(int, pano_id.removeprefix("pano").split("_"))
        return self.look_up(row * self.step_deg, column * self.step_deg)

    def road_deg(self, panorama):
        """The roads of even rows lead north-east; of the others nothing is known."""
        row = int(panorama.pano_id.removeprefix("pano").split("_")[0])
        return 44.6 if row % 2 == 0 else None

    def other_dates(self, panorama):
        lat, lon = panorama.lat_deg, panorama.lon_deg
        about = ("© Google", self.name, self.licence, f"drive of {panorama.pano_id}")
        return [
            source.Panorama(f"{panorama.pano_id}:{date}", lat + shift, lon, date, *about)
            for date, shift in (("2009-01", 1e-4), ("2021-11", -1e-4))
        ]

    def fetch(self, panorama, heading_deg):
        told = self._told("fetch", (panorama.pano_id, heading_deg))
        if told is not None:
            return told
        return self.world.render(panorama.lat_deg, panorama.lon_deg, heading_deg, *self.size)

    def close(self):
        pass

    @property
    def images_sent(self):
        return sum(count for (kind, _), count in self.sent.items() if kind == "fetch")

    def _told(self, kind, key):
        with self.lock:
            attempt = self.sent[kind, key] = self.sent.get((kind, key), 0) + 1
            if kind == "fetch":
                self.times_s.append(time.monotonic())
        return self.script(kind, key, attempt)


def flaky(rate=5):
    """A script in which every `rate`-th request fails once in each transient way."""

    def script(kind, key, attempt):
        if hash((kind, *map(str, key))) % rate or attempt > 2:
            return
        if attempt == 1:
            raise errors.SourceRetry("server", "HTTP status 503", 0.01)
        if kind == "fetch":
            raise errors.ImageRefused("truncated", "half an image", transient=True)
        raise errors.SourceRetry("network", "broke off")

    return script

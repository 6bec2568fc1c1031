"""The interface of every source of imagery.

A source makes one attempt a call and waits for nothing: retries, rate and spending belong to the scraper alone. A call
returns what it is for, or raises one of three children of GeodsError:

    SourceStop     no further request can succeed (denied, quota, request)
    SourceRetry    no answer yet (network, server, quota), perhaps with the seconds to wait
    ImageRefused   bytes came, but no view of the place; `transient` tells whether to ask for it again
"""

import dataclasses
from typing import Literal, Protocol

MissReason = Literal[
    "zero_results",
    "too_far",
    "not_official",
    "no_position",
    "undated",
    "too_old",
    "too_new",
    "no_heading",
    "no_road",
    "licence",
    "other_host",
]
StopReason = Literal["denied", "quota", "request"]
RetryCause = Literal["network", "server", "quota"]
RefusalReason = Literal[
    "gone", "empty", "not_jpeg", "truncated", "damaged", "wrong_size", "cropped", "grey", "error_image"
]


@dataclasses.dataclass(frozen=True)
class Panorama:
    """A place where a camera stood, as a source knows it.

    Attributes:
        pano_id: The source's own name of it.
        lat_deg: Latitude, degrees, -90 to 90.
        lon_deg: Longitude, degrees, -180 to 180.
        date: Month it was taken, "YYYY-MM", or None if the source does not say.
        copyright: Who made it, as the source writes it; empty if it does not say.
        source: Name of the source.
        licence: Licence or terms it comes under.
        sequence: The drive or walk it belongs to, or None if the source has none.
        heading_deg: Of a flat picture, the one direction it looks in, whole degrees from 0 to 359; None of what can be
            viewed in any direction.
        original_name: Name of the file it was uploaded as; empty if the source does not say.
    """

    pano_id: str
    lat_deg: float
    lon_deg: float
    date: str | None = None
    copyright: str = ""
    source: str = ""
    licence: str = ""
    sequence: str | None = None
    heading_deg: int | None = None
    original_name: str = ""


@dataclasses.dataclass(frozen=True)
class Miss:
    """Why there is no panorama for a point.

    Attributes:
        reason: One word for counting.
        detail: The value that decided, for the journal.
    """

    reason: MissReason
    detail: str = ""


class Source(Protocol):
    """Something that finds panoramas near points and gives views of them.

    Safe to call from several threads.

    Attributes:
        name: What the journal and the dataset call it.
        licence: Licence or terms of its images.
        has_own_licences: Whether each panorama has a licence of its own.
        units_per_image: Billable units that one `fetch` costs, whatever comes of it; 0 for free sources.
    """

    name: str
    licence: str
    has_own_licences: bool
    units_per_image: int

    def look_up(self, lat_deg: float, lon_deg: float) -> Panorama | Miss:
        """Returns the panorama to take for a point, or why there is none; costs nothing.

        Args:
            lat_deg: Latitude, degrees.
            lon_deg: Longitude, degrees.

        Raises:
            SourceStop: If asking is useless.
            SourceRetry: If there was no answer.
        """
        ...

    def find(self, pano_id: str) -> Panorama | Miss:
        """Returns the panorama of an id if it is fit, or why there is none.

        Costs nothing.

        Args:
            pano_id: The source's own name of it.

        Raises:
            SourceStop: If asking is useless.
            SourceRetry: If there was no answer.
        """
        ...

    def road_deg(self, panorama: Panorama) -> float | None:
        """Returns the bearing of the road at a panorama, degrees, or None if unknown.

        Args:
            panorama: What `look_up` returned.

        Raises:
            SourceStop: If asking is useless.
            SourceRetry: If there was no answer.
        """
        ...

    def other_dates(self, panorama: Panorama) -> list[Panorama]:
        """Returns fit panoramas of the place, one for each other month, oldest first.

        Args:
            panorama: What `look_up` returned.

        Raises:
            SourceStop: If asking is useless.
            SourceRetry: If there was no answer.
        """
        ...

    def fetch(self, panorama: Panorama, heading_deg: float) -> bytes:
        """Returns one view as the bytes of a whole JPEG of the source's size.

        Args:
            panorama: What `look_up` returned.
            heading_deg: Where the camera looks, degrees clockwise from north.

        Raises:
            SourceStop: If asking is useless.
            SourceRetry: If there was no answer.
            ImageRefused: If what came is no view of the place.
        """
        ...

    def close(self) -> None:
        """Lets go of connections; calls under way may fail."""
        ...

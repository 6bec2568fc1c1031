"""The flags of the Mapillary client, in a module that imports no HTTP library."""

import dataclasses
from typing import Literal

from geods import errors
from geods.cli import flags
from geods.imagery import acceptance
from geods.imagery.http import url_policy

TOKEN_ENV = "MAPILLARY_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
GRAPH = "https://graph.mapillary.com"
# A miss at 5 km asks for 130 boxes, about 20 s.
_MOST_RADIUS_M = 5000
_MOST_PX = 2048


@dataclasses.dataclass(frozen=True)
class MapillaryOptions(acceptance.MonthOptions):
    """Search options; size, field of view and pitch as for Street View.

    Attributes:
        mapillary_api_base: Scheme and host of the API.
        mapillary_kind: "panorama" cuts views out of pictures of the whole sphere; "flat" takes others, one view each.
        mapillary_image: Longer side of the picture to fetch: 2048 pixels, or as it was taken.
        mapillary_radius_m: Farthest from the point asked for, metres.
        mapillary_image_hosts: Domains that pictures may be fetched from.
        width_px: Width of a view.
        height_px: Height of a view.
        fov_deg: Horizontal field of view of a cut, degrees.
        pitch_deg: Angle of a cut above the horizon, degrees.
    """

    mapillary_api_base: str = flags.option(GRAPH, "Scheme and host of the Mapillary API, or of a simulated one.")
    mapillary_kind: Literal["panorama", "flat"] = flags.option(
        "panorama", "Cut views at --headings out of panoramas, or take flat pictures, one view a location."
    )
    mapillary_image: Literal["2048", "original"] = flags.option("2048", "Size of Mapillary's picture to fetch.")
    mapillary_radius_m: int = flags.option(
        1500, "Farthest a picture may be from the sampled point, metres, at Mapillary."
    )
    mapillary_image_hosts: tuple[str, ...] = flags.option(
        ("fbcdn.net", "mapillary.com"), "Domains that Mapillary's pictures may be fetched from."
    )
    width_px: int = flags.option(600, "Width of an image.")
    height_px: int = flags.option(300, "Height of an image.")
    fov_deg: float = flags.option(100.0, "Horizontal field of view, degrees, at most 120.")
    pitch_deg: float = flags.option(10.0, "Angle of the camera above the horizon, degrees.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range.
        """
        super().__post_init__()
        url_policy.check_base(self.mapillary_api_base, "--mapillary_api_base", GRAPH)
        for name, allowed in (("mapillary_kind", ("panorama", "flat")), ("mapillary_image", ("2048", "original"))):
            if getattr(self, name) not in allowed:
                raise errors.OptionError(f"--{name}={getattr(self, name)}: is not one of {allowed}.", "see --help")
        ranges = {
            "mapillary_radius_m": (1, _MOST_RADIUS_M),
            "width_px": (1, _MOST_PX),
            "height_px": (1, _MOST_PX),
            "fov_deg": (1, 120),
            "pitch_deg": (-90, 90),
        }
        acceptance.check_ranges(self, ranges)

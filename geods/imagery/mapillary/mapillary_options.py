"""The flags of the Mapillary client, in a module that imports no HTTP library."""

import dataclasses
from typing import ClassVar, Literal

from geods import errors
from geods.cli import flags
from geods.imagery import acceptance
from geods.imagery.http import url_policy

TOKEN_ENV = "MAPILLARY_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
GRAPH, TILES = "https://graph.mapillary.com", "https://tiles.mapillary.com"
# A miss at 5 km asks for 20 to 60 tiles.
_MOST_RADIUS_M = 5000


@dataclasses.dataclass(frozen=True)
class MapillaryOptions(acceptance.SourceOptions):
    """Search options.

    Attributes:
        mapillary_api_base: Scheme and host of the API.
        mapillary_tile_base: Scheme and host of the vector tiles.
        mapillary_kind: "panorama" cuts views out of pictures of the whole sphere; "flat" takes others, one view each.
        mapillary_image: Longer side of the picture to fetch: 2048 pixels, or as it was taken.
        mapillary_radius_m: Farthest from the point asked for, metres.
        mapillary_image_hosts: Domains that pictures may be fetched from.
    """

    MOST_PX: ClassVar[int] = 2048

    mapillary_api_base: str = flags.option(GRAPH, "Scheme and host of the Mapillary API, or of a simulated one.")
    mapillary_tile_base: str = flags.option(
        "", "Scheme and host of Mapillary's vector tiles; empty for its own, or for a simulated API's."
    )
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

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range.
        """
        super().__post_init__()
        url_policy.check_base(self.mapillary_api_base, "--mapillary_api_base", GRAPH)
        url_policy.check_base(self.tile_base, "--mapillary_tile_base", TILES)
        for name, allowed in (("mapillary_kind", ("panorama", "flat")), ("mapillary_image", ("2048", "original"))):
            if getattr(self, name) not in allowed:
                raise errors.OptionError(f"--{name}={getattr(self, name)}: is not one of {allowed}.", "see --help")
        self.check_ranges({"mapillary_radius_m": (1, _MOST_RADIUS_M)})

    @property
    def tile_base(self) -> str:
        """Scheme and host of the vector tiles; a simulated API has its own."""
        return self.mapillary_tile_base or (TILES if self.mapillary_api_base == GRAPH else self.mapillary_api_base)

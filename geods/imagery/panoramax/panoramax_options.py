"""The flags of the Panoramax client, in a module that imports no HTTP library."""

import dataclasses
from typing import Literal

from geods import errors
from geods.cli import flags
from geods.imagery import acceptance
from geods.imagery.http import url_policy

FEDERATION = "https://api.panoramax.xyz"
_MOST_PX = 4096
# Hosts of the federation's pictures; IGN's instance redirects to the last, its object storage.
_HOSTS = (
    *("panoramax.xyz", "panoramax.fr", "panoramax.ign.fr", "panoramax.openstreetmap.fr"),
    "panoramax-storage-public-fast.s3.gra.perf.cloud.ovh.net",
)


@dataclasses.dataclass(frozen=True)
class PanoramaxOptions(acceptance.MonthOptions):
    """Search options; size, field of view and pitch as for Street View.

    Attributes:
        api_base: Scheme and host of an instance, or of the federation's catalogue.
        radius_m: Farthest from the point asked for, metres.
        panoramax_kind: "panorama" cuts views out of pictures of the whole sphere; "flat" takes others, one view each.
        panoramax_hosts: Domains that pictures may be fetched from, besides the host of api_base.
        any_licence: Whether to take pictures whose licence is not known to be free.
        width_px: Width of a view.
        height_px: Height of a view.
        fov_deg: Horizontal field of view of a cut, degrees.
        pitch_deg: Angle of a cut above the horizon, degrees.
    """

    api_base: str = flags.option(FEDERATION, "Scheme and host of a Panoramax instance or catalogue.")
    radius_m: int = flags.option(10_000, "Farthest a picture may be from the sampled point, metres.")
    panoramax_kind: Literal["panorama", "flat"] = flags.option(
        "panorama", "Cut views at --headings out of panoramas, or take flat pictures, one view a location."
    )
    panoramax_hosts: tuple[str, ...] = flags.option(
        _HOSTS, "Domains that Panoramax's pictures may be fetched from, besides the host of --api_base."
    )
    any_licence: bool = flags.option(False, "Whether to take Panoramax pictures under licences not known to be free.")
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
        url_policy.check_base(self.api_base, "--api_base", FEDERATION)
        kinds = ("panorama", "flat")
        if self.panoramax_kind not in kinds:
            raise errors.OptionError(f"--panoramax_kind={self.panoramax_kind}: is not one of {kinds}.", "see --help")
        pixels = (1, _MOST_PX)
        ranges = {"width_px": pixels, "height_px": pixels, "fov_deg": (1, 120), "pitch_deg": (-90, 90)}
        acceptance.check_ranges(self, {"radius_m": (1, 100_000), **ranges})

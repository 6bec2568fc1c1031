"""The flags of the Panoramax client, in a module that imports no HTTP library."""

import dataclasses
from typing import Literal

from geods import errors
from geods.cli import flags
from geods.imagery import acceptance
from geods.imagery.http import url_policy

FEDERATION = "https://api.panoramax.xyz"
# Hosts of the federation's pictures; IGN's instance redirects to the last, its object storage.
_HOSTS = (
    *("panoramax.xyz", "panoramax.fr", "panoramax.ign.fr", "panoramax.openstreetmap.fr"),
    "panoramax-storage-public-fast.s3.gra.perf.cloud.ovh.net",
)


@dataclasses.dataclass(frozen=True)
class PanoramaxOptions(acceptance.SourceOptions):
    """Search options.

    Attributes:
        api_base: Scheme and host of an instance, or of the federation's catalogue.
        radius_m: Farthest from the point asked for, metres.
        panoramax_kind: "panorama" cuts views out of pictures of the whole sphere; "flat" takes others, one view each.
        panoramax_hosts: Domains that pictures may be fetched from, besides the host of api_base.
        any_licence: Whether to take pictures whose licence is not known to be free.
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
        self.check_ranges({"radius_m": (1, 100_000)})

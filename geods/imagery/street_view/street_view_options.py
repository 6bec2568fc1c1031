"""The flags of the Street View client, in a module that imports no HTTP library."""

import dataclasses
from typing import ClassVar

from geods import errors
from geods.cli import flags
from geods.imagery import acceptance
from geods.imagery.http import url_policy

KEY_ENV, SIGNING_SECRET_ENV = "GOOGLE_MAPS_API_KEY", "GOOGLE_MAPS_SIGNING_SECRET"
GOOGLE = "https://maps.googleapis.com"


@dataclasses.dataclass(frozen=True)
class StreetViewOptions(acceptance.SourceOptions):
    """Which panoramas to take; the defaults are the course report's.

    Attributes:
        api_base: Scheme and host of the service.
        radius_m: Farthest from the point asked for, metres.
        allow_user_photos: Whether to take what was not made by Google.
        source_outdoor: Whether to leave out indoor collections.
    """

    # "Anything over will default to 640", as the reference says, and so would be refused as of a wrong size.
    MOST_PX: ClassVar[int] = 640

    api_base: str = flags.option(GOOGLE, "Scheme and host of Street View, a Panoramax instance or a simulated service.")
    radius_m: int = flags.option(10_000, "Farthest a panorama may be from its point, metres.")
    allow_user_photos: bool = flags.option(False, "Whether to take panoramas that were not made by Google.")
    source_outdoor: bool = flags.option(True, "Whether to leave out indoor collections.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range.
        """
        super().__post_init__()
        if not self.radius_m > 0:
            raise errors.OptionError(f"--radius_m={self.radius_m}: must be above 0.", "the report used 10000")
        url_policy.check_base(self.api_base, "--api_base", GOOGLE)

"""The flags of the Street View client, in a module that imports no HTTP library."""

import dataclasses

from geods.cli import flags
from geods.imagery import acceptance
from geods.imagery.http import url_policy

KEY_ENV, SIGNING_SECRET_ENV = "GOOGLE_MAPS_API_KEY", "GOOGLE_MAPS_SIGNING_SECRET"
GOOGLE = "https://maps.googleapis.com"
# "Anything over will default to 640", as the reference says, and so would be refused as of a wrong size.
_MOST_PX = 640


@dataclasses.dataclass(frozen=True)
class StreetViewOptions(acceptance.AcceptanceOptions):
    """Options of the images; the defaults are the course report's.

    Attributes:
        api_base: Scheme and host of the service.
        width_px: Width of an image, at most 640.
        height_px: Height of an image, at most 640.
        fov_deg: Horizontal field of view, degrees, at most 120.
        pitch_deg: Angle above the horizon, degrees.
        source_outdoor: Whether to leave out indoor collections.
    """

    api_base: str = flags.option(GOOGLE, "Scheme and host of the Street View API, or of Panoramax or a simulation.")
    width_px: int = flags.option(600, "Width of an image, at most 640.")
    height_px: int = flags.option(300, "Height of an image, at most 640.")
    fov_deg: float = flags.option(100.0, "Horizontal field of view, degrees, at most 120.")
    pitch_deg: float = flags.option(10.0, "Angle of the camera above the horizon, degrees.")
    source_outdoor: bool = flags.option(True, "Whether to leave out indoor collections.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range.
        """
        super().__post_init__()
        url_policy.check_base(self.api_base, "--api_base", GOOGLE)
        ranges = {"width_px": (1, _MOST_PX), "height_px": (1, _MOST_PX), "fov_deg": (1, 120), "pitch_deg": (-90, 90)}
        acceptance.check_ranges(self, ranges)

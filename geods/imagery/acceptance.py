"""Options that all sources of imagery share: months, and the view of a picture."""

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from geods import errors
from geods.cli import flags
from geods.imagery import source

if TYPE_CHECKING:
    from geods.imagery import perspective

MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """Time and view of a picture; the defaults of the view are the course report's.

    Attributes:
        min_date: First month to take, "YYYY-MM"; empty for any.
        max_date: Last month to take, likewise.
        allow_undated: Whether min_date and max_date let panoramas without a date pass.
        width_px: Width of a view.
        height_px: Height of a view.
        fov_deg: Horizontal field of view, degrees, at most 120.
        pitch_deg: Angle above the horizon, degrees.
    """

    MOST_PX: ClassVar[int] = 4096

    min_date: str = flags.option("", "First month to take, as YYYY-MM; empty for any.")
    max_date: str = flags.option("", "Last month to take, as YYYY-MM; empty for any.")
    allow_undated: bool = flags.option(False, "Whether to take panoramas without a date when months are given.")
    width_px: int = flags.option(600, "Width of an image, pixels; of Street View at most 640.")
    height_px: int = flags.option(300, "Height of an image, pixels; of Street View at most 640.")
    fov_deg: float = flags.option(100.0, "Horizontal field of view, degrees, at most 120.")
    pitch_deg: float = flags.option(10.0, "Angle of the camera above the horizon, degrees.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If a month is malformed, the last is before the first, or the view is out of range.
        """
        for name in ("min_date", "max_date"):
            value = getattr(self, name)
            if value and not MONTH.fullmatch(value):
                raise errors.OptionError(f"--{name}={value}: is not a month.", "write it as YYYY-MM, such as 2015-06")
        if self.min_date and self.max_date and self.min_date > self.max_date:
            problem = f"--min_date={self.min_date} is after --max_date={self.max_date}."
            raise errors.OptionError(problem, "exchange them")
        pixels = (1, self.MOST_PX)
        self.check_ranges({"width_px": pixels, "height_px": pixels, "fov_deg": (1, 120), "pitch_deg": (-90, 90)})

    def check_ranges(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Raises OptionError for the first option outside its range (least, most)."""
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise errors.OptionError(f"--{name}={value}: is not from {least} to {most}.", "see --help")

    def camera(self, heading_deg: float) -> "perspective.Camera":
        """Returns the camera of a view.

        Raises:
            OptionError: If the heading is not a finite number.
        """
        # Not at the top: programs whose options these are answer --help without NumPy.
        from geods.imagery import perspective

        return perspective.Camera(heading_deg, self.pitch_deg, self.fov_deg, self.height_px, self.width_px)

    def date_refusal(self, date: str | None) -> source.Miss | None:
        """Returns why a picture's month is not taken, or None if it is."""
        if not self.min_date and not self.max_date:
            return None
        if date is None:
            return None if self.allow_undated else source.Miss("undated")
        # Months of four and two digits are in the order of their text.
        if self.min_date and date < self.min_date:
            return source.Miss("too_old", date)
        if self.max_date and date > self.max_date:
            return source.Miss("too_new", date)
        return None


def month(text: object) -> str | None:
    """Returns the "YYYY-MM" at the start of a date, or None if there is none."""
    found = MONTH.match(text) if isinstance(text, str) else None
    return found.group() if found else None

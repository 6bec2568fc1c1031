"""Which of the panoramas a service names are fit to train on.

Street View's `radius` is a hint (one query with a radius of 25 m returned a place 3,498.5 km away) and its
`source=outdoor` lets photographs of users through, so both are checked here. That a panorama lies inside the cell and
has not been seen before is the scraper's to check.

The rules by which `acceptance` takes panoramas.
"""

import dataclasses
import re
from collections.abc import Mapping

from geods import errors
from geods.cli import flags
from geods.imagery import source

MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclasses.dataclass(frozen=True)
class MonthOptions:
    """When a picture must have been taken.

    Attributes:
        min_date: First month to take, "YYYY-MM"; empty for any.
        max_date: Last month to take, likewise.
        allow_undated: Whether min_date and max_date let panoramas without a date pass.
    """

    min_date: str = flags.option("", "First month to take, as YYYY-MM; empty for any.")
    max_date: str = flags.option("", "Last month to take, as YYYY-MM; empty for any.")
    allow_undated: bool = flags.option(False, "Whether to take panoramas without a date when months are given.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If a month is malformed, or the last is before the first.
        """
        for name in ("min_date", "max_date"):
            value = getattr(self, name)
            if value and not MONTH.fullmatch(value):
                raise errors.OptionError(f"--{name}={value}: is not a month.", "write it as YYYY-MM, such as 2015-06")
        if self.min_date and self.max_date and self.min_date > self.max_date:
            problem = f"--min_date={self.min_date} is after --max_date={self.max_date}."
            raise errors.OptionError(problem, "exchange them")


@dataclasses.dataclass(frozen=True)
class AcceptanceOptions(MonthOptions):
    """Which panoramas to take.

    Attributes:
        radius_m: Farthest from the point asked for, metres.
        allow_user_photos: Whether to take what was not made by Google.
    """

    radius_m: int = flags.option(10_000, "Farthest a panorama may be from the sampled point, metres.")
    allow_user_photos: bool = flags.option(False, "Whether to take panoramas that were not made by Google.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If the radius is not above 0, or a month is wrong.
        """
        super().__post_init__()
        if not self.radius_m > 0:
            raise errors.OptionError(f"--radius_m={self.radius_m}: must be above 0.", "the report used 10000")


def check_ranges(options: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raises OptionError for the first attribute outside its range (least, most)."""
    for name, (least, most) in ranges.items():
        value = getattr(options, name)
        if not least <= value <= most:
            raise errors.OptionError(f"--{name}={value}: is not from {least} to {most}.", "see --help")


# "© Google", "© 2017 Google", "© 2016 Google Inc." are all official.
_OFFICIAL = re.compile(r"©\s*(\d{4}\s+)?Google(,? (Inc|LLC)\.?)?")
# What the rounding of a query's seven decimals and of the sphere may add.
_TOLERANCE_KM = 0.001


def refusal(
    lat_deg: float, lon_deg: float, panorama: source.Panorama, options: AcceptanceOptions
) -> source.Miss | None:
    """Returns why a panorama is not taken, or None if it is.

    Args:
        lat_deg: Latitude of the point asked for, degrees.
        lon_deg: Longitude of the point asked for, degrees.
        panorama: What the service named.
        options: The rules.
    """
    # Not at the top: programs whose options these are answer --help without NumPy.
    from geods.geo import geometry

    distance_km = float(geometry.haversine_km((lat_deg, lon_deg), (panorama.lat_deg, panorama.lon_deg)))
    if distance_km > options.radius_m / 1000 + _TOLERANCE_KM:
        return source.Miss("too_far", f"{distance_km:.3f} km from the point asked for")
    if not options.allow_user_photos and not _OFFICIAL.fullmatch(panorama.copyright.strip()):
        return source.Miss("not_official", panorama.copyright)
    return date_refusal(panorama.date, options)


def month(text: object) -> str | None:
    """Returns the "YYYY-MM" at the start of a date, or None if there is none."""
    found = MONTH.match(text) if isinstance(text, str) else None
    return found.group() if found else None


def time_span(options: MonthOptions) -> tuple[str, str]:
    """Returns the first moment of the first month and the one after the last.

    As ISO 8601 in UTC; "" where open.

    Whole times, as services read bare months and days in ways of their own. Both are "" if undated pictures are taken,
    which a service that is asked for a span leaves out.
    """
    if options.allow_undated:
        return "", ""
    end = ""
    if options.max_date:
        year, month_number = map(int, options.max_date.split("-"))
        end = f"{year + month_number // 12:04d}-{month_number % 12 + 1:02d}-01T00:00:00Z"
    return f"{options.min_date}-01T00:00:00Z" if options.min_date else "", end


def date_refusal(date: str | None, options: MonthOptions) -> source.Miss | None:
    """Returns why a date is not taken, or None if it is."""
    if not options.min_date and not options.max_date:
        return None
    if date is None:
        return None if options.allow_undated else source.Miss("undated")
    # Months of four and two digits are in the order of their text.
    if options.min_date and date < options.min_date:
        return source.Miss("too_old", date)
    if options.max_date and date > options.max_date:
        return source.Miss("too_new", date)
    return None

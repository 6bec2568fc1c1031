"""Which of the panoramas a service names are fit to train on.

Street View's `radius` is a hint (one query with a radius of 25 m returned a place 3,498.5 km away) and its
`source=outdoor` lets photographs of users through, so both are checked here. That a panorama lies inside the cell and
has not been seen before is the scraper's to check.
"""

import re

from geods import geometry
from geods.imagery import acceptance_options, source

# "© Google", "© 2017 Google", "© 2016 Google Inc." are all official.
_OFFICIAL = re.compile(r"©\s*(\d{4}\s+)?Google(,? (Inc|LLC)\.?)?")
# What the rounding of a query's seven decimals and of the sphere may add.
_TOLERANCE_KM = 0.001


def refusal(
    lat_deg: float, lon_deg: float, panorama: source.Panorama, options: acceptance_options.AcceptanceOptions
) -> source.Miss | None:
    """Returns why a panorama is not taken, or None if it is.

    Args:
        lat_deg: Latitude of the point asked for, degrees.
        lon_deg: Longitude of the point asked for, degrees.
        panorama: What the service named.
        options: The rules.
    """
    distance_km = float(geometry.haversine_km((lat_deg, lon_deg), (panorama.lat_deg, panorama.lon_deg)))
    if distance_km > options.radius_m / 1000 + _TOLERANCE_KM:
        return source.Miss("too_far", f"{distance_km:.3f} km from the point asked for")
    if not options.allow_user_photos and not _OFFICIAL.fullmatch(panorama.copyright.strip()):
        return source.Miss("not_official", panorama.copyright)
    return date_refusal(panorama.date, options)


def month(text: object) -> str | None:
    """Returns the "YYYY-MM" that a date begins with, or None if it does not begin with a month."""
    found = acceptance_options.MONTH.match(text) if isinstance(text, str) else None
    return found.group() if found else None


def date_refusal(date: str | None, options: acceptance_options.MonthOptions) -> source.Miss | None:
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

"""The rules by which `acceptance` takes panoramas."""

import dataclasses
import re

from geods import cli, errors

MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclasses.dataclass(frozen=True)
class MonthOptions:
    """When a picture must have been taken.

    Attributes:
        min_date: First month to take, "YYYY-MM"; empty for any.
        max_date: Last month to take, likewise.
        allow_undated: Whether min_date and max_date let panoramas without a date pass.
    """

    min_date: str = cli.option("", "First month to take, as YYYY-MM; empty for any.")
    max_date: str = cli.option("", "Last month to take, as YYYY-MM; empty for any.")
    allow_undated: bool = cli.option(False, "Whether to take panoramas without a date when months are given.")

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

    radius_m: int = cli.option(10_000, "Farthest a panorama may be from the sampled point, metres.")
    allow_user_photos: bool = cli.option(False, "Whether to take panoramas that were not made by Google.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If the radius is not above 0, or a month is wrong.
        """
        super().__post_init__()
        if not self.radius_m > 0:
            raise errors.OptionError(f"--radius_m={self.radius_m}: must be above 0.", "the report used 10000")

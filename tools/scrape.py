"""Downloads Panoramax, Mapillary or Street View images for every cell.

    python -m tools.scrape --partition=partition.geojson --out=tree --locations_per_cell=4 --max_cost=20 --accept_terms

Prints the plan, a bar with locations, images, USD and hit rate, and the result of each cell. --dry_run prints the plan
and its cost, and spends nothing. Ctrl-C finishes what is under way; the same command resumes, also after a kill.

Exit codes: 0 complete, 1 a fault of geods, 2 an option or the folder is wrong, 3 the key is denied, 4 quota used up or
service not reachable, 5 --max_cost reached, 6 finished with cells under their target, 7 the disk is full, 130
interrupted. After 3, 4, 7 and 130 the same command resumes; after 5 with a higher --max_cost; after 6 with a higher
--lookups_per_location. A scrape in which no cell found anything at --lookups_in_vain points stops with 6 too.

Instead of sampling, --points=FILE takes points or panorama ids from a CSV (lat, lon, heading, pano_id), from GeoJSON or
from a GeoGuessr map (customCoordinates); tree/points.csv has the result of each row. Without a partition all points are
one cell. --near=FILE samples more densely near such points, --spread_km keeps locations apart.

--headings=road,road+180 looks along the road, where the source knows its direction (Panoramax, Mapillary);
--headings=random in a direction drawn for each location. --dates=newest, oldest, newest,oldest or all takes pictures of
other months at the same location, into its folder.

Panoramax (--source=panoramax) is free, needs no key, and its images may be kept and shared. --api_base names one
instance instead of the federation. Licences (CC BY-SA 4.0, Etalab 2.0) differ by picture; views.csv has licence,
producer (copyright), collection (sequence) and original name of each. Panoramas (--panoramax_kind=panorama, the
default) are levelled and cut into views; flat pictures have one view each.

Mapillary (--source=mapillary) is free and needs the token in $MAPILLARY_ACCESS_TOKEN or a file
(--mapillary_token_file). Its images are CC BY-SA 4.0: if you pass them on, name their creators (views.csv has them) and
keep the licence. Views are cut out of panoramas (--mapillary_kind=panorama, the default, rare in the country) or are
flat pictures, one a location (--mapillary_kind=flat).

Street View (--source=street_view, the default) needs the key in $GOOGLE_MAPS_API_KEY or in a file that only you can
read (--api_key_file). An image costs 0.007 USD at list price; at 10 a second, the report's 29,160 images take 50
minutes. Set a daily quota and a budget alert in Google's console too: other uses of the key are not counted here.
Google's terms forbid bulk downloads and training on the images without permission; --accept_terms states that you have
it. Try all of it on a simulated service instead: python -m tools.simulated_street_view.
"""

import dataclasses
import math
import os
import pathlib
import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Literal

from geods import errors
from geods.cli import flags, program
from geods.imagery import acceptance
from geods.imagery.http import api_key, url_policy
from geods.imagery.mapillary import mapillary_options
from geods.imagery.panoramax import panoramax_options
from geods.imagery.scraping import options as scraping_options
from geods.imagery.street_view import street_view_options

if TYPE_CHECKING:
    from tqdm import tqdm

    from geods.geo import partition
    from geods.imagery import source as imagery_source
    from geods.imagery.scraping import scrape


_STREET_VIEW_ONLY = ("api_key_file", "allow_user_photos", "source_outdoor")
# Flags that only these sources have; the others are of all.
_SOURCES_OF = {
    **dict.fromkeys(_STREET_VIEW_ONLY, ("street_view",)),
    **dict.fromkeys(("api_base", "radius_m"), ("street_view", "panoramax")),
    "dates": ("panoramax", "mapillary"),
    "any_licence": ("panoramax",),
}
_ATTRIBUTIONS = {
    "mapillary": "Mapillary's images are CC BY-SA 4.0: name their creators (views.csv) and share alike;"
    " the API's terms: https://www.mapillary.com/terms",
    "panoramax": "Panoramax's images are CC BY-SA 4.0 or Etalab 2.0: name their producers (views.csv), and share alike"
    " what is CC BY-SA",
}
_OPTIONS: dict[str, type[acceptance.SourceOptions]] = {
    "mapillary": mapillary_options.MapillaryOptions,
    "panoramax": panoramax_options.PanoramaxOptions,
    "street_view": street_view_options.StreetViewOptions,
}
_TERMS = "https://cloud.google.com/maps-platform/terms"


@dataclasses.dataclass(frozen=True)
class Options(
    street_view_options.StreetViewOptions,
    mapillary_options.MapillaryOptions,
    panoramax_options.PanoramaxOptions,
    scraping_options.ScrapeOptions,
):
    """Source, key and extent of a scrape."""

    source: Literal["street_view", "mapillary", "panoramax"] = flags.option("street_view", "Service of the images.")
    mapillary_token_file: str = flags.option(
        "", "File that holds Mapillary's token, readable by you alone; or set MAPILLARY_ACCESS_TOKEN.", path="local"
    )
    api_key_file: str = flags.option(
        "", "File that holds the key, readable by you alone; or set GOOGLE_MAPS_API_KEY.", path="local"
    )
    accept_terms: bool = flags.option(False, "Whether the service's terms allow you bulk downloads.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range, or the terms are not accepted.
        """
        scraping_options.ScrapeOptions.__post_init__(self)
        self.of_source()
        self._check_flags_of_other_sources()
        if self.source == "street_view" and any(heading.base == "road" for heading in self.parsed_headings):
            problem = f"--headings={','.join(self.headings)}: Street View's API does not say where roads lead."
            raise errors.OptionError(problem, "give degrees or random, or --source=panoramax or mapillary")
        if self.source == "street_view" and not self.accept_terms and not url_policy.is_loopback(self.api_base):
            problem = f"--accept_terms is not given; the terms of the service ({_TERMS}) restrict downloads in bulk."
            raise errors.OptionError(problem, "read them, and give --accept_terms if you may")

    def of_source(self) -> acceptance.SourceOptions:
        """Returns the options of the source alone; --api_base has a default for each.

        Raises:
            OptionError: If one is out of range.
        """
        options = _OPTIONS[self.source]
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(options)}
        if self.source == "panoramax" and self.api_base == street_view_options.GOOGLE:
            del values["api_base"]
        return options(**values)

    @property
    def is_flat(self) -> bool:
        """Whether a location has one view, in the direction of a flat picture."""
        return {"mapillary": self.mapillary_kind, "panoramax": self.panoramax_kind}.get(self.source) == "flat"

    def _check_flags_of_other_sources(self) -> None:
        """Raises OptionError for a flag that would have no effect."""
        for field in dataclasses.fields(self):
            prefix = field.name.partition("_")[0]
            sources = _SOURCES_OF.get(field.name, (prefix,) if prefix in _ATTRIBUTIONS else (self.source,))
            value = getattr(self, field.name)
            if self.source not in sources and value != field.default:
                shown = ",".join(value) if isinstance(value, tuple) else str(value)
                problem = f"--{field.name}={api_key.redact(shown)}: has no effect on --source={self.source}."
                likes = "--mapillary_radius_m and the like; see --help"
                hint = likes if self.source == "mapillary" else f"--source={sources[0]}"
                raise errors.OptionError(problem, f"leave it out, or give {hint}")


def main(settings: Options) -> None:
    """Scrapes and ends with the exit code that says how."""
    client = _client(settings)
    from geods.geo import partition
    from geods.imagery.scraping import outcome, points, scrape, tables

    listed = points.read(settings.points) if settings.points else []
    near = points.positions(points.read(settings.near), settings.near) if settings.near else []
    if listed and not pathlib.Path(settings.partition).exists():
        cells = points.partition_around(listed)
    else:
        cells = partition.read(settings.partition)
    there, spent = _so_far(settings.out)
    print(f"{client.name} to {settings.out}:")
    if client.name in _ATTRIBUTIONS:
        print(_ATTRIBUTIONS[client.name])
    plan = tables.cost_plan(_as_planned(settings), len(cells), there, spent, client.units_per_image, listed)
    print("\n".join([plan, *_hints(settings, cells, len(listed))]), flush=True)
    with _Bar(settings, len(listed) or len(cells) * settings.locations_per_cell) as bar:
        stop = _stop_on_signal()
        try:
            result = scrape.scrape(
                settings, client, cells, _config(settings), stop=stop, watch=bar.show, listed=listed, near=near
            )
        except errors.DiskFullError as error:
            program.show_error(error)
            sys.exit(outcome.EXIT_CODES["disk"])
    client.close()
    print(_ending(settings, result))
    sys.exit(result.halt.exit_code)


def _hints(settings: Options, cells: "partition.Partition", listed: int) -> list[str]:
    """Returns lines on what the user may not expect of the plan."""
    flag = "mapillary_radius_m" if settings.source == "mapillary" else "radius_m"
    side_m = math.sqrt(min(cells.areas_km2)) * 1000
    lines = []
    if not listed and side_m < getattr(settings, flag):
        lines.append(
            f"  the smallest cell is about {side_m:,.0f} m wide, less than --{flag}={getattr(settings, flag)}: pictures"
            f" found will often lie in another cell; --{flag}={max(1, int(side_m / 4))} finds nearer ones"
        )
    if side_m < 4000 * settings.spread_km:
        lines.append(
            f"  the smallest cell is about {side_m:,.0f} m wide: --spread_km={settings.spread_km:g} leaves room for few"
            " locations in it"
        )
    if not listed and settings.lookups_in_vain:
        lines.append(
            f"  stops if no cell has found anything after {settings.lookups_in_vain:,} points (--lookups_in_vain)"
        )
    if settings.dry_run:
        lookups = listed or len(cells) * settings.lookups_per_cell
        asks = f"  a dry run asks for at most {lookups:,} points, {settings.lookups_per_s:g} a second, and for no image"
        lines.append(asks if settings.source == "street_view" else f"{asks}; nothing of {settings.source} costs money")
    return lines


def _as_planned(settings: Options) -> Options:
    """Returns the options with as many headings as a location has views.

    A flat picture has one.
    """
    return dataclasses.replace(settings, headings=("0",)) if settings.is_flat else settings


def _client(settings: Options) -> "imagery_source.Source":
    """Returns the source, with its key."""
    options: Any = settings.of_source()
    if settings.source == "mapillary":
        token = api_key.read_secret(
            mapillary_options.TOKEN_ENV, settings.mapillary_token_file, "--mapillary_token_file"
        )
        from geods.imagery.mapillary import mapillary_api

        return mapillary_api.Mapillary(options, token)
    if settings.source == "panoramax":
        from geods.imagery.panoramax import panoramax_api

        return panoramax_api.Panoramax(options)
    key = api_key.read_secret(street_view_options.KEY_ENV, settings.api_key_file, "--api_key_file")
    signer = api_key.find_secret(street_view_options.SIGNING_SECRET_ENV)
    from geods.imagery.street_view import street_view_api

    return street_view_api.StreetView(options, key, signer)


def _config(settings: Options) -> dict[str, Any]:
    """Returns the options on which the images depend.

    Not the service's address, which a simulated one changes.
    """
    # Of Panoramax the address counts, as instances have different pictures.
    addresses = {"mapillary_api_base", "mapillary_tile_base", "mapillary_image_hosts", "panoramax_hosts"}
    addresses |= set() if settings.source == "panoramax" else {"api_base"}
    names = {field.name for field in dataclasses.fields(_OPTIONS[settings.source])} - addresses
    return {name: getattr(settings, name) for name in sorted(names)}


def _so_far(out: str) -> tuple[int, int]:
    """Returns the complete locations of a tree and the units spent on it."""
    from geods.imagery.scraping import scrape_journal

    status = scrape_journal.read_status(out)
    return (status.locations, status.units) if status else (0, 0)


def _stop_on_signal() -> threading.Event:
    """Returns an event that Ctrl-C and SIGTERM set.

    A second one ends the process at once, which loses nothing on disk.
    """
    stop = threading.Event()

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        print("\nfinishing what is under way; once more to end at once", file=sys.stderr, flush=True)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


class _Bar:
    """The progress bar."""

    def __init__(self, settings: Options, locations: int) -> None:
        """Draws nothing before there is something to show, as errors come before that."""
        self._total, self._name = locations, "look up" if settings.dry_run else "scrape"
        self._bar: tqdm | None = None

    def __enter__(self) -> "_Bar":
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leaves the last line standing."""
        if self._bar is not None:
            # Some cells have fewer locations than were asked for.
            self._bar.total = self._bar.n if not any(error) else self._bar.total
            self._bar.close()

    def show(self, progress: "scrape.Progress") -> None:
        """Moves it."""
        if self._bar is None:
            self._bar = self._drawn()
        hits = f"{progress.locations / progress.lookups:.0%}" if progress.lookups else "-"
        words = f"{progress.images:,} images, {progress.cost:,.2f} USD, {hits} hits"
        # Without it, a service that fails looks as if nothing happened.
        words += f", {progress.again:,} sent again" if progress.again else ""
        self._bar.set_postfix_str(words, refresh=False)
        if not self._bar.n and progress.locations:
            # What earlier runs got must not count as this one's speed.
            self._bar.initial = progress.locations - bool(progress.images)
        self._bar.update(progress.locations - self._bar.n)

    def _drawn(self) -> "tqdm":
        """Returns the bar; in a log file it has a line every ten seconds."""
        from tqdm import tqdm

        pause_s = 0.1 if sys.stderr.isatty() else 10.0
        return tqdm(total=self._total, unit="location", desc=self._name, mininterval=pause_s, maxinterval=pause_s)


def _ending(settings: Options, result: "scrape.Result") -> str:
    """Returns what each cell got, and what to do next."""
    from geods.imagery.scraping import points, tables, workspace

    if settings.dry_run:
        return _ending_of_dry_run(settings, result)
    cost = settings.prices.cost(result.spent_units)
    lines = [tables.table(result.rows, result.missed), f"{result.images:,} images in this run, {cost:,.2f} USD in all"]
    lines += [tables.again(result.again)] if result.again else []
    first = f"{points.NAME} (points)" if settings.points else f"{tables.CELLS_NAME} (cells)"
    names = f"{settings.out}/{first} and {settings.out}/{tables.VIEWS_NAME} (where images come from)"
    lines.append(f"wrote {names}" if result.has_tables else f"could not write {names}")
    if result.halt.reason == "complete":
        lines.append(f"complete; next: python -m tools.check_tree --tree={shlex.quote(settings.out)}")
    else:
        # The flags that it was started with allow no more.
        more = f" --max_cost={2 * (settings.max_cost or 1):g}" if result.halt.reason == "budget" else ""
        lines.append(_why(result))
        # Options that would find something are refused on the old tree.
        is_over = result.halt.reason == "nothing_found" or (result.halt.reason == "under_target" and settings.points)
        lines += [] if is_over else [workspace.resume(settings.out) + more]
    return "\n".join(lines)


def _ending_of_dry_run(settings: Options, result: "scrape.Result") -> str:
    """Returns what was found and what its images would cost."""
    from geods.imagery.scraping import tables

    lines = [tables.table(result.rows, result.missed)]
    found = sum(row.got for row in result.rows)
    if found:
        lines.append(tables.bill(_as_planned(settings), found, int(settings.source == "street_view")))
    if result.halt.reason != "complete":
        lines.append(_why(result))
    return "\n".join([*lines, "a dry run: no image was asked for, nothing was written"])


def _why(result: "scrape.Result") -> str:
    """Returns how it ended, and what to do about it."""
    return f"{result.halt.reason.replace('_', ' ')}: {result.halt.detail}"


if __name__ == "__main__":
    program.run(Options, main)

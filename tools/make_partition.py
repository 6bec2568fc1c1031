"""Splits a boundary into cells and writes them as GeoJSON.

    python -m tools.make_partition --boundary=us --out=partition.geojson
    python -m tools.make_partition --boundary=countries.zip --where=NAME=France --part=largest --cell_deg=0.5

The first command gives the 243 cells of the course report from the US Census Bureau's file, in about a second after the
download of 0.4 MB. Prints the number of cells, the area, the diagonal of the bounding box (GeoGuessr's D), the smallest
and the largest cell, the seconds taken, and the file.
"""

import dataclasses
import time
from typing import TYPE_CHECKING, Literal

from geods import errors
from geods.cli import flags, program

if TYPE_CHECKING:
    from geods.geo import partition


@dataclasses.dataclass(frozen=True)
class Options:
    """What to split, and how."""

    boundary: str = flags.option(
        "us", "us (downloaded once), demo, or the path of a .zip, .shp, .geojson or .gpkg.", path="in"
    )
    out: str = flags.option("partition.geojson", "File to write.", path="out")
    cell_deg: float = flags.option(2.0, "Side of a box in degrees.")
    merge_below: float = flags.option(0.1, "Pieces below this share of the largest one's area join a neighbour.")
    part: Literal["containing", "largest", "all"] = flags.option(
        "containing", "Take the polygon that contains --center, the largest polygon, or all."
    )
    center: tuple[str, ...] = flags.option(("39.50", "-98.35"), "LAT,LON in degrees, for --part=containing.")
    where: str | None = flags.option(None, "FIELD=VALUE: take only the features with this value.")

    def __post_init__(self) -> None:
        """Checks the values before anything is read.

        Raises:
            OptionError: If one is out of range.
            CoordinateError: If `center` is no place on Earth.
        """
        # Here and below: importing numpy before the flags are parsed would double the time of --help.
        from geods.geo import fishnet, geometry

        fishnet.check_options(self.cell_deg, self.merge_below)
        geometry.check_coords(self.center_deg, "center")

    @property
    def center_deg(self) -> tuple[float, float]:
        """`center` as numbers.

        Raises:
            OptionError: If it is not two numbers.
        """
        try:
            lat_deg, lon_deg = map(float, self.center)
        except ValueError as error:
            problem = f"--center={','.join(self.center)} is not two numbers."
            raise errors.OptionError(problem, "write --center=LAT,LON, such as --center=39.50,-98.35") from error
        return lat_deg, lon_deg


def main(options: Options) -> None:
    """Makes, writes and describes the partition."""
    from geods.geo import boundary as boundaries
    from geods.geo import fishnet, partition

    started = time.perf_counter()
    covered = boundaries.load(options.boundary, options.where, options.part, options.center_deg)
    made = fishnet.make(covered, options.cell_deg, options.merge_below)
    partition.write(made, options.out)
    print(describe(made))
    print(f"seconds        {time.perf_counter() - started:.1f}")
    print(f"written        {options.out}")


def describe(made: "partition.Partition") -> str:
    """Returns the figures of a partition as lines of text."""
    from geods.geo import geometry

    miles = made.diagonal_km / geometry.KM_PER_MILE
    lines = [
        f"cells          {len(made):,}",
        f"area           {made.areas_km2.sum():,.0f} km2",
        f"diagonal       {made.diagonal_km:,.0f} km ({miles:,.0f} miles)",
        f"smallest cell  {_cell(made, int(made.areas_km2.argmin()))}",
        f"largest cell   {_cell(made, int(made.areas_km2.argmax()))}",
    ]
    return "\n".join(lines)


def _cell(made: "partition.Partition", cell: int) -> str:
    """Returns a cell's size and place."""
    lat, lon = made.centroids[cell]
    return f"{made.areas_km2[cell]:,.0f} km2 (cell {cell}, around {lat:.2f},{lon:.2f})"


if __name__ == "__main__":
    program.run(Options, main)

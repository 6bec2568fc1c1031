"""Splits a boundary into cells and writes them as GeoJSON.

    python -m tools.make_partition --boundary=us --out=partition.geojson
    python -m tools.make_partition --boundary=countries.zip --where=NAME=France,Spain --part=near:200 --cell_deg=0.5
    python -m tools.make_partition --boundary=states.zip --cells=features --name_field=NAME
    python -m tools.make_partition --boundary=world --cells=equal_area --out=world.geojson

The first command gives the 243 cells of the course report from the US Census Bureau's file, in a few seconds after the
download of 0.4 MB. The third makes each feature of a map a cell, the last 10,312 cells of one area all over the world.
docs/boundaries.md lists the formats that are read. Before the file is written, its cells are read back and their area
is compared with the boundary's, or with that of the grid they are taken from.

Prints the number of cells, the area, the diagonal of the bounding box (GeoGuessr's D), the smallest and the largest
cell, what was skipped or could be read in two ways, the seconds taken, and the file.
"""

import dataclasses
import time
from typing import TYPE_CHECKING, Literal

from geods import errors
from geods.cli import flags, program
from geods.storage import files

if TYPE_CHECKING:
    from geods.geo import boundary as boundaries
    from geods.geo import partition


@dataclasses.dataclass(frozen=True)
class Options:
    """Map, cells and output of a partition."""

    boundary: str = flags.option(
        "us",
        "us (downloaded once), demo, world, or the path of a map: .zip, .shp, .geojson, .gpkg and others.",
        path="in",
    )
    out: str = flags.option("partition.geojson", "File to write.", path="out")
    cells: Literal["fishnet", "features", "equal_area", "h3"] = flags.option(
        "fishnet",
        "Cells: boxes of --cell_deg cut along the boundary, one for each feature of the map, or whole boxes of equal "
        "area or hexagons of H3 that reach into the boundary.",
    )
    cell_deg: float = flags.option(2.0, "Side of a box in degrees; with --cells=equal_area, at the equator.")
    h3_resolution: int = flags.option(3, "With --cells=h3: 0 to 15; the world has 5,882 cells at 2, 41,162 at 3.")
    merge_below: float = flags.option(0.1, "Cells smaller than this share of the largest one's area join a neighbour.")
    join_within_km: float = flags.option(
        0.0, "Such small cells that touch no other (islands) join the nearest one within so many km."
    )
    nearest_km: float = flags.option(
        0.0, "Locations outside all cells are labelled with the nearest cell within so many km; 25 suits coasts."
    )
    name_field: str | None = flags.option(None, "With --cells=features: the field that holds the cells' names.")
    max_sliver: float = flags.option(
        1e-3, "With --cells=features: overlaps and gaps up to this share of a cell's area are closed."
    )
    part: str = flags.option(
        "containing",
        "Polygons to take, unless --cells=features: the one containing --center, the largest, near:KM (the largest "
        "and those within so many km of it), or all.",
    )
    center: tuple[str, ...] = flags.option(("39.50", "-98.35"), "LAT,LON in degrees, for --part=containing.")
    figure: str = flags.option("", "PNG file to draw boundary, boxes and cells to, side by side.", path="out")
    where: tuple[str, ...] = flags.option(
        (),
        "FIELD=VALUE or FIELD=VALUE,VALUE: take only the features with one of these values.",
        repeated=True,
    )
    layer: str | None = flags.option(None, "Layer to read of a file that holds several.")
    member: str | None = flags.option(None, "Path of the map to read inside an archive that holds several.")

    def __post_init__(self) -> None:
        """Checks the values before anything is read.

        Raises:
            OptionError: If one is out of range.
            CoordinateError: If `center` is no location on Earth.
        """
        # Here and below: importing numpy before the flags are parsed would double the time of --help.
        from geods.geo import boundary, fishnet, geometry, regions, world_cells

        fishnet.check_options(self.cell_deg, self.merge_below, self.join_within_km)
        regions.check_options(self.max_sliver)
        world_cells.check_resolution(self.h3_resolution)
        if not 0 <= self.nearest_km <= fishnet.MOST_JOIN_KM:
            problem = f"nearest_km={self.nearest_km:g} must be from 0 to {fishnet.MOST_JOIN_KM:g}."
            raise errors.OptionError(problem, "0 is the report's; 25 suits most coasts")
        boundary.check_part(self.part)
        geometry.check_coords(self.center_deg, "center")
        if self.name_field and self.cells != "features":
            problem = f"--name_field={self.name_field}: boxes have no names."
            raise errors.OptionError(problem, "add --cells=features, or leave it out")

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

    @property
    def source(self) -> "boundaries.Source":
        """Map file and selection of its features."""
        from geods.geo import boundary as boundaries

        return boundaries.Source(self.boundary, self.where, self.layer, self.member)


def main(options: Options) -> None:
    """Makes, checks, writes and describes the partition."""
    from geods.geo import partition

    started = time.perf_counter()
    made, area_km2, notes = make(options)
    if options.nearest_km:
        made = dataclasses.replace(made, parameters={**made.parameters, "nearest_km": options.nearest_km})
    partition.check_area(made, area_km2)
    partition.write(made, options.out)
    print(describe(made))
    for note in notes:
        print(f"note           {note}")
    print(f"seconds        {time.perf_counter() - started:.1f}")
    print(f"written        {options.out}")
    program.print_next(f"python -m tools.import_images --source=PHOTOGRAPHS --partition={options.out} --out=tree")
    if options.figure:
        from trainers.plots import figures, report_figures

        drawn = report_figures.partition_steps(made, options.cell_deg if options.cells == "fishnet" else None)
        files.write_bytes(options.figure, figures.to_png(drawn))
        print(f"written        {options.figure}")


def make(options: Options) -> "tuple[partition.Partition, float, tuple[str, ...]]":
    """Returns the partition, the area to cover (square km) and notes on its source."""
    from geods.geo import boundary as boundaries
    from geods.geo import fishnet, polygons, regions, world_cells

    if options.cells == "features":
        cells, notes = regions.make(options.source, options.name_field, options.max_sliver)
        return cells, float(cells.areas_km2.sum()), notes
    covered = boundaries.load(options.source, options.part, options.center_deg)
    if options.cells == "equal_area":
        return *world_cells.equal_area(covered, options.cell_deg), covered.notes
    if options.cells == "h3":
        return *world_cells.h3(covered, options.h3_resolution), covered.notes
    made = fishnet.make(covered, options.cell_deg, options.merge_below, options.join_within_km)
    return made, polygons.area_km2(covered.shape), covered.notes


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
    """Returns a cell's size and location."""
    lat, lon = made.centroids[cell]
    name = f" {made.names[cell]}," if made.names else ""
    return f"{made.areas_km2[cell]:,.0f} km2 (cell {cell},{name} around {lat:.2f},{lon:.2f})"


if __name__ == "__main__":
    program.run(Options, main)

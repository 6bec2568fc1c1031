"""TREE/views.csv: where each image of a scraped tree came from."""

import csv
import io
import os
import pathlib

from geods import files, geometry, tree
from geods.scraping import records

NAME = "views.csv"
_COLUMNS = (
    *("file", "pano_id", "latitude", "longitude", "heading", "date", "copyright", "source", "licence", "sequence"),
    *("bytes", "sha256", "query_latitude", "query_longitude", "distance_m"),
)


def write(tree_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes one line a view, of complete locations only, sorted by file; returns the path."""
    with records.open_to_read(records.path_in(tree_dir)) as connection:
        found = connection.execute(
            "SELECT panorama.cell, location_id, heading_deg, date, pano_id, copyright, source, licence, sequence,"
            " bytes, sha256, lat_deg, lon_deg FROM arrival JOIN panorama USING (pano_id) JOIN image USING (pano_id)"
            " JOIN query USING (pano_id) ORDER BY panorama.cell, location_id, heading_deg"
        ).fetchall()
    text = io.StringIO(newline="")
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(_COLUMNS)
    for cell, location_id, heading, date, *about, lat_deg, lon_deg in found:
        at = tuple(map(float, location_id.split(",")))
        distance_m = float(geometry.haversine_km(at, (lat_deg, lon_deg))) * 1000
        name = f"{cell}/{location_id}/{tree.view_name(heading, date)}"
        pano_id, *rest = about
        sheet.writerow(
            [name, pano_id, *location_id.split(","), heading, date, *rest, lat_deg, lon_deg, f"{distance_m:.1f}"]
        )
    path = pathlib.Path(tree_dir, NAME)
    files.write_text(path, text.getvalue())
    return path

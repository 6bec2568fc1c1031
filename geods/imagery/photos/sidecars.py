"""Position, time and creator of photographs from the files beside them.

They fill in the facts that EXIF lacks:
Google Takeout's JSON, XMP sidecars, Mapillary's mapillary_image_description.json, and a GPX track with capture times.
"""

import bisect
import dataclasses
import datetime
import functools
import itertools
import json
import os
import pathlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from geods import errors
from geods.imagery.photos import exif, notation
from geods.storage import files

_DESCRIPTION = "mapillary_image_description.json"
_EXIF, _DUBLIN_CORE = "{http://ns.adobe.com/exif/1.0/}", "{http://purl.org/dc/elements/1.1/}"
_CREATED = ("{http://ns.adobe.com/photoshop/1.0/}DateCreated", "{http://ns.adobe.com/xap/1.0/}CreateDate")
_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
# Takeout cuts names to 51 characters with ".json".
_LEAST_OF_NAME = 40
_CUT_ENDS = ("", *(f"({number})" for number in range(1, 10)))
_MOST_BYTES = 1 << 20
# Farther apart, two points of a track do not say where one was between them.
_MOST_GAP_S = 300.0


class Sidecars:
    """Facts from files beside the photographs of a folder.

    Attributes:
        on_track: Photographs that the track placed.
        without_zone: Those of them whose EXIF has no time zone, so that their clock is taken for UTC.

    Args:
        folder: The folder of all photographs.
        gpx: Track to take positions from by capture time; None for none.
        clock_offset_s: Seconds by which the cameras' clock is ahead of UTC, or of its own EXIF time zone.

    Raises:
        MissingFileError: If there is no such track.
        TreeError: If the track is none.
    """

    def __init__(self, folder: pathlib.Path, gpx: pathlib.Path | None = None, clock_offset_s: float = 0.0) -> None:
        self._folder, self._clock_offset_s = folder, clock_offset_s
        self.on_track = self.without_zone = 0
        self._track = _track(gpx) if gpx else []
        self._json_names = functools.lru_cache(8)(_json_names)
        self._descriptions = functools.lru_cache(8)(_descriptions)

    def fill(self, file: str, facts: exif.Facts) -> exif.Facts:
        """Returns the facts of a photograph, completed from its sidecar files.

        Args:
            file: Path below the folder.
            facts: What its EXIF says.
        """
        path = self._folder / file
        for other in (self._of_xmp(path), self._of_takeout(path), self._of_mapillary(path)):
            facts = _merged(facts, other)
        found = _merged(facts, self._of_track(facts))
        if (found.lat_deg, found.lon_deg) != (facts.lat_deg, facts.lon_deg):
            self.on_track += 1
            self.without_zone += not facts.has_zone
        return found

    def _of_xmp(self, path: pathlib.Path) -> exif.Facts:
        for start, end in itertools.product((path.name, path.stem), (".xmp", ".XMP")):
            sidecar = path.with_name(start + end)
            # With the suffix a name may be longer than the file system takes, which Path.is_file raises.
            if os.path.isfile(sidecar) and sidecar.stat().st_size <= _MOST_BYTES:  # noqa: PTH113
                return _facts_of_xmp(sidecar.read_bytes())
        return exif.Facts()

    def _of_takeout(self, path: pathlib.Path) -> exif.Facts:
        names = self._json_names(path.parent)
        match = re.fullmatch(r"(.*?)(-edited)?(\(\d+\))?", path.stem)
        ways = {path.name: ""} | ({f"{match[1]}{path.suffix}": match[3] or ""} if match else {})
        for base, number in ways.items():
            whole = f"{base}.supplemental-metadata"
            for length in range(len(whole), min(len(base), _LEAST_OF_NAME) - 1, -1):
                # Names that are cut to the same are numbered, otherwise than their photographs.
                for end in (number,) if length >= len(base) else _CUT_ENDS:
                    name = f"{whole[:length]}{end}.json"
                    if name in names and (length >= len(base) or _has_title(_parsed(path.with_name(name)), base)):
                        return _facts_of_takeout(_parsed(path.with_name(name)))
        return exif.Facts()

    def _of_mapillary(self, path: pathlib.Path) -> exif.Facts:
        for folder in path.parents:
            found = self._descriptions(folder).get(path.name, [])
            named = [entry for entry in found if _is_of(entry, path)]
            if len(named) == 1:
                return _facts_of_mapillary(named[0])
            if folder == self._folder:
                break
        return exif.Facts()

    def _of_track(self, facts: exif.Facts) -> exif.Facts:
        if not self._track or facts.taken_s is None:
            return exif.Facts()
        at_s = facts.taken_s - self._clock_offset_s
        number = bisect.bisect_left(self._track, (at_s,))
        if number < len(self._track) and self._track[number][0] == at_s:
            return exif.Facts(*self._track[number][1:])
        if not 0 < number < len(self._track):
            return exif.Facts()
        (start_s, *start), (end_s, *end) = self._track[number - 1], self._track[number]
        if end_s - start_s > _MOST_GAP_S or abs(end[1] - start[1]) > 1:
            return exif.Facts()
        share = (at_s - start_s) / (end_s - start_s)
        lat_deg, lon_deg = (round(one + share * (other - one), 7) for one, other in zip(start, end, strict=True))
        return exif.Facts(lat_deg, lon_deg)


def _merged(facts: exif.Facts, other: exif.Facts) -> exif.Facts:
    """Returns facts with the missing ones of another; a position is taken whole."""
    changes: dict[str, Any] = {}
    is_unknown = facts.lat_deg is None or facts.lon_deg is None or facts.lat_deg == facts.lon_deg == 0
    if is_unknown and other.lat_deg is not None:
        changes |= {"lat_deg": other.lat_deg, "lon_deg": other.lon_deg}
    if facts.heading_deg is None and other.heading_deg is not None:
        changes |= {"heading_deg": other.heading_deg, "magnetic": other.magnetic}
    changes |= {name: getattr(other, name) for name in ("date", "creator", "licence") if not getattr(facts, name)}
    return dataclasses.replace(facts, **changes)


def _position(lat: object, lon: object) -> tuple[float | None, float | None]:
    """Returns a position in degrees; 0, 0 stands for an unknown one."""
    try:
        lat_deg, lon_deg = notation.angle_deg(str(lat), "NS"), notation.angle_deg(str(lon), "EW")
    except ValueError:
        return None, None
    return (None, None) if lat_deg == lon_deg == 0 else (lat_deg, lon_deg)


def _month(*texts: object) -> str | None:
    """Returns the month of the first date that has one."""
    for text in texts:
        try:
            if isinstance(text, str) and (month := notation.month(text)):
                return month
        except ValueError:
            continue
    return None


def _heading(text: object) -> float | None:
    try:
        return notation.heading_deg(str(text)) if text is not None else None
    except ValueError:
        return None


def _parsed(path: pathlib.Path) -> Any:  # noqa: ANN401 - JSON
    """Returns a JSON file, None for what is none."""
    try:
        return json.loads(path.read_bytes()) if path.stat().st_size <= _MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None


def _json_names(folder: pathlib.Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.glob("*.json"))


def _descriptions(folder: pathlib.Path) -> Mapping[str, list[dict[str, Any]]]:
    """Returns the entries of Mapillary's file in a folder by the name of their image."""
    path = folder / _DESCRIPTION
    found: dict[str, list[dict[str, Any]]] = {}
    if path.is_file():
        try:
            entries = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise errors.TreeError(f"{path}: is no JSON ({errors.in_short(error)}).", "move it away") from error
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and isinstance(entry.get("filename"), str) and "MAPLatitude" in entry:
                found.setdefault(_parts(entry)[-1], []).append(entry)
    return found


def _parts(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return pathlib.PurePosixPath(str(entry["filename"]).replace("\\", "/")).parts or ("",)


def _is_of(entry: Mapping[str, Any], path: pathlib.Path) -> bool:
    """Returns whether two paths agree in name and, where both have one, folder."""
    shared = min(len(_parts(entry)), 2)
    return _parts(entry)[-shared:] == path.parts[-shared:]


def _has_title(entry: object, name: str) -> bool:
    """Returns whether a JSON of Google Takeout names a photograph, or none.

    Takeout cuts the names of photographs too, and writes _ for what no file system takes.
    """
    title, stem = (re.sub(r"\W", "_", text) for text in (_title_of(entry), pathlib.PurePath(name).stem))
    return title.startswith(stem) or not title


def _title_of(entry: object) -> str:
    return str(entry.get("title", "")) if isinstance(entry, dict) else ""


def _facts_of_takeout(entry: object) -> exif.Facts:
    """Returns the facts of a JSON of Google Takeout."""
    if not isinstance(entry, dict):
        return exif.Facts()
    lat_deg: float | None
    lat_deg = lon_deg = None
    for name in ("geoData", "geoDataExif"):
        data = entry.get(name)
        if lat_deg is None and isinstance(data, dict):
            lat_deg, lon_deg = _position(data.get("latitude"), data.get("longitude"))
    taken = entry.get("photoTakenTime")
    return exif.Facts(lat_deg, lon_deg, date=_month(taken.get("timestamp")) if isinstance(taken, dict) else None)


def _facts_of_mapillary(entry: Mapping[str, Any]) -> exif.Facts:
    """Returns the facts of an entry of Mapillary's file.

    Its TrueHeading repeats the magnetic one, and 0.0 stands for no heading.
    """
    compass = entry.get("MAPCompassHeading")
    heading_deg = (
        _heading(compass.get("MagneticHeading", compass.get("TrueHeading"))) if isinstance(compass, dict) else None
    )
    lat_deg, lon_deg = _position(entry.get("MAPLatitude"), entry.get("MAPLongitude"))
    return exif.Facts(lat_deg, lon_deg, heading_deg or None, bool(heading_deg), _month(entry.get("MAPCaptureTime")))


def _facts_of_xmp(content: bytes) -> exif.Facts:
    """Returns the facts of an XMP sidecar."""
    if b"<!" in content.replace(b"<!--", b""):
        return exif.Facts()
    try:
        root = ET.fromstring(content.strip(b"\0 \r\n\t"))  # noqa: S314 - without a document type nothing grows
    except ET.ParseError:
        return exif.Facts()
    values: dict[str, str] = {}
    for node in root.iter():
        items = [item.text or "" for item in node.iter(_ITEM)]
        values |= {name: text for name, text in node.attrib.items() if text}
        if text := (node.text or "").strip() or ", ".join(items):
            values.setdefault(node.tag, text)
    lat_deg, lon_deg = _position(values.get(f"{_EXIF}GPSLatitude", ""), values.get(f"{_EXIF}GPSLongitude", ""))
    return exif.Facts(
        lat_deg,
        lon_deg,
        _heading(values.get(f"{_EXIF}GPSImgDirection")),
        values.get(f"{_EXIF}GPSImgDirectionRef") == "M",
        _month(values.get(f"{_EXIF}DateTimeOriginal"), *(values.get(name) for name in _CREATED)),
        values.get(f"{_DUBLIN_CORE}creator", ""),
        values.get(f"{_DUBLIN_CORE}rights", ""),
    )


def _track(path: pathlib.Path) -> list[tuple[float, float, float]]:
    """Returns the track points of a GPX file, sorted by time.

    Each is seconds since 1970 (UTC), latitude and longitude in degrees.
    """
    files.check_file(path, "name a GPX track: --gpx=FILE")
    step = "name one: --gpx=FILE"
    if b"<!DOCTYPE" in path.read_bytes():
        raise errors.TreeError(f"{path}: is no GPX track (it has a document type).", step)
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - see above
        points = []
        for node in root.iter():
            if node.tag.rpartition("}")[2] == "trkpt":
                text = next((child.text or "" for child in node if child.tag.rpartition("}")[2] == "time"), "")
                if text:
                    taken = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
                    taken = taken if taken.tzinfo else taken.replace(tzinfo=datetime.timezone.utc)
                    points.append((taken.timestamp(), float(node.attrib["lat"]), float(node.attrib["lon"])))
    except (ET.ParseError, ValueError, KeyError) as error:
        raise errors.TreeError(f"{path}: is no GPX track ({errors.in_short(error)}).", step) from error
    if not points:
        raise errors.TreeError(f"{path}: has no track point with a time.", "export the track with its times")
    return sorted(points)

"""STAC items of the Panoramax API and their reliable fields.

https://docs.panoramax.fr/api/api/stac_deviations/; figures and behaviour are of geovisio 2.15.1. An error is a JSON
object {"message", "status_code"}.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from geods import errors
from geods.geo import geometry
from geods.imagery import acceptance, perspective, source
from geods.imagery.http import status, transport

Kind = Literal["panorama", "flat"]
Asset = Literal["hd", "sd"]
Record = Mapping[str, Any]

# SPDX names under which pictures may be kept, changed and shared: https://docs.panoramax.fr/how-to/license/.
FREE_LICENCES = {
    name.lower(): name
    for name in ("CC-BY-SA-4.0", "etalab-2.0", "CC-BY-4.0", "CC0-1.0", "ODbL-1.0", "OGL-UK-3.0", "PDDL-1.0")
}
SD_WIDTH_PX = 2048
_LONGEST_ID, _LONGEST_TEXT = 64, 200
_ID = re.compile(rf"[A-Za-z0-9-]{{1,{_LONGEST_ID}}}")
_LICENCE_TITLE = re.compile(r"License for this object \(([^)]+)\)")
_BASE_NEXT = "check that --api_base is the address of a Panoramax instance, then run the same command again"


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture as its STAC item describes it.

    Attributes:
        panorama: What the scraper needs of it.
        pose: How its camera stood.
        crop: What a panorama lacks of the sphere; None of a flat picture.
        urls: Where its files are.
        frame_px: (height, width) of the picture as it was uploaded, the frame of a panorama; None if not given.
        road_deg: Bearing of the road or path, along its collection; None if not known.
    """

    panorama: source.Panorama
    pose: perspective.Pose
    crop: perspective.Crop | None
    urls: Mapping[Asset, str]
    frame_px: tuple[int, int] | None
    road_deg: float | None


def items(answer: transport.Answer, what: str) -> list[Mapping[str, Any]]:
    """Returns the features of the answer to a search.

    Raises:
        SourceStop: If the request is refused, as by a server that is no Panoramax.
        SourceRetry: If the service failed, was asked too fast, or something else answered in its place.
    """
    if answer.status in (400, 401, 403, 404):
        said = f"{what}: HTTP status {answer.status}: {status.text_of(answer)}"
        raise errors.SourceStop("request", said, _BASE_NEXT)
    status.check(answer, what)
    features = status.json_object(answer, what).get("features")
    if not isinstance(features, list):
        raise errors.SourceRetry("network", f"{what}: the answer has no list of pictures.")
    return [feature for feature in features if isinstance(feature, dict)]


def road_deg(record: Record) -> float | None:
    """Returns the bearing from the picture before to the one after, or None."""
    links = record.get("links")
    beside = {link.get("rel"): link for link in links if isinstance(link, dict)} if isinstance(links, list) else {}
    found = (beside.get("prev", {}).get("geometry"), record.get("geometry"), beside.get("next", {}).get("geometry"))
    places = [place for place in map(status.position, found) if place]
    return float(geometry.bearing_deg(places[0], places[-1])) if len(set(places)) > 1 else None


def item(record: Mapping[str, Any], kind: Kind, name: str, any_licence: bool) -> Item | source.Miss:
    """Returns the picture of a STAC item, or why it cannot be taken.

    Args:
        record: One of `items`.
        kind: The kind asked for.
        name: Name of the source.
        any_licence: Whether to take pictures whose licence is not known to be free.
    """
    pano_id, place = identity(record), status.position(record.get("geometry"))
    properties = status.mapping(record, "properties")
    if not pano_id or not place:
        return source.Miss("no_position", f"id {status.shown(str(record.get('id')))}")
    optics = status.mapping(properties, "pers:interior_orientation")
    if (optics.get("field_of_view") == 360) != (kind == "panorama"):
        return source.Miss("zero_results", f"{pano_id} is no {kind} picture")
    licence = _licence(record, properties)
    if licence.lower() not in FREE_LICENCES and not any_licence:
        return source.Miss("licence", f"{pano_id}: {licence or 'no licence'}")
    heading_deg = _heading_deg(properties, kind)
    if heading_deg is None:
        return source.Miss("no_heading", pano_id)
    return Item(
        source.Panorama(
            pano_id=pano_id,
            lat_deg=place[0],
            lon_deg=place[1],
            date=acceptance.month(properties.get("datetime")),
            copyright=_producer(record, properties),
            source=name,
            licence=FREE_LICENCES.get(licence.lower(), licence),
            sequence=_text(record.get("collection")) or None,
            heading_deg=round(heading_deg) % 360 if kind == "flat" else None,
            original_name=_text(properties.get("original_file:name")),
        ),
        perspective.Pose(heading_deg, *_tilt_deg(properties, kind)),
        _crop(optics) if kind == "panorama" else None,
        _urls(record),
        _frame_px(optics),
        road_deg(record),
    )


def identity(record: Mapping[str, Any]) -> str:
    """Returns the id of an item, or "" if it is none that may stand in a URL."""
    found = str(record.get("id", ""))
    return found if _ID.fullmatch(found) else ""


def _heading_deg(properties: Mapping[str, Any], kind: Kind) -> float | None:
    """Returns the bearing of a picture's middle, degrees, or None.

    It is None if no EXIF or XMP field confirms it.

    Without GPSImgDirection, or with 0, the server puts the direction of travel into view:azimuth, or 0, and does not
    say so. Azimuths are whole degrees: the field is used where the two agree, so that no half degree is lost.
    """
    exif, azimuth = status.mapping(properties, "exif"), properties.get("view:azimuth")
    written = _rational(exif.get("Exif.GPSInfo.GPSImgDirection"))
    if written and status.is_within(azimuth, 360):
        agrees = abs((written - azimuth + 180) % 360 - 180) <= 1
        return (written if agrees else float(azimuth)) % 360
    posed = _rational(exif.get("Xmp.GPano.PoseHeadingDegrees"))
    return posed % 360 if posed and kind == "panorama" else None


def _tilt_deg(properties: Mapping[str, Any], kind: Kind) -> tuple[float, float]:
    """Returns pitch and roll of a panorama's camera, degrees; zeros for flat ones.

    A flat picture is taken as it is.
    """
    values = (properties.get("pers:pitch"), properties.get("pers:roll"))
    pitch, roll = (float(value) if status.is_within(value, 180) else 0.0 for value in values)
    return (pitch, roll) if kind == "panorama" else (0.0, 0.0)


def _crop(optics: Mapping[str, Any]) -> perspective.Crop:
    """Returns the missing parts of a panorama.

    `visible_area` is [left, top, right, bottom], in pixels of the whole frame.
    """
    missing, frame = optics.get("visible_area"), _frame_px(optics)
    if frame is None or not isinstance(missing, list) or len(missing) != 4:
        return perspective.WHOLE
    height_px, width_px = frame
    sides = (width_px, height_px, width_px, height_px)
    shares = [part / side if status.is_within(part, side) else -1.0 for part, side in zip(missing, sides, strict=True)]
    left, top, right, bottom = shares
    possible = min(shares) >= 0 and left + right < 1 and top + bottom < 1
    return perspective.Crop(left, top, right, bottom) if possible else perspective.WHOLE


def _frame_px(optics: Mapping[str, Any]) -> tuple[int, int] | None:
    """Returns (height_px, width_px) of the picture as it was uploaded, or None."""
    sides = optics.get("sensor_array_dimensions")
    if (
        not isinstance(sides, list)
        or len(sides) != 2
        or not all(status.is_within(side, 1e6) and side >= 1 for side in sides)
    ):
        return None
    return int(sides[1]), int(sides[0])


def _urls(record: Mapping[str, Any]) -> dict[Asset, str]:
    """Returns where the files of an item are."""
    assets = status.mapping(record, "assets")
    found = {name: status.mapping(assets, name).get("href") for name in ("hd", "sd")}
    return {name: href for name, href in found.items() if isinstance(href, str)}  # type: ignore[misc]


def _licence(record: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """Returns the SPDX name of an item's licence or licence link; empty without."""
    links = record.get("links")
    titles = [str(link.get("title")) for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    linked = next((match.group(1) for title in titles if (match := _LICENCE_TITLE.fullmatch(title))), "")
    return _text(properties.get("license")) or _text(linked)


def _producer(record: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """Returns the names to credit: the account, and the photographer if another."""
    given = record.get("providers")
    providers = given if isinstance(given, list) else []
    names = [_text(properties.get("geovisio:producer"))]
    names += [_text(one.get("name")) for one in providers if isinstance(one, dict)]
    different = {name.casefold(): name for name in reversed(names) if name}
    return "; ".join(reversed(different.values()))


def _rational(text: object) -> float | None:
    """Returns the number of an EXIF rational ("9000/100") or XMP text, or None."""
    top, _, bottom = str(text).partition("/")
    try:
        value = float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None


def _text(value: object) -> str:
    """Returns a text of the answer as one short line; empty if it is no text."""
    return status.shown(value)[:_LONGEST_TEXT] if isinstance(value, str) else ""

"""Panoramas among photographs, recognised by their metadata.

XMP's GPano (https://developers.google.com/streetview/spherical-metadata) names the projection, the part of the sphere
and how the camera stood. Cameras that only write spheres are also known by name, where the shape is a sphere's.
"""

import dataclasses
import math
import xml.etree.ElementTree as ET

from PIL import Image

from geods.tree import orientation

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_NAMESPACE = "{http://ns.google.com/photos/1.0/panorama/}"
_MAKE, _MODEL = 0x010F, 0x0110
# Their spheres came without XMP from older firmware or editors; flat pictures of these cameras are not 2:1.
_CAMERAS = ("ricoh theta", "gopro max", "insta360", "garmin virb 360", "lg-r105", "misphere", "qoocam", "labpano")
# Editors round; so much off is half a degree.
_RATIO_TOLERANCE = 0.01
_WIDE = 2.2


@dataclasses.dataclass(frozen=True)
class Sphere:
    """An equirectangular picture, as part of the frame of the whole sphere.

    The part is given in shares of that frame's width and height.

    Attributes:
        heading_deg: Bearing of the middle of the whole frame, degrees clockwise from north; None if not known.
        pitch_deg: Elevation of that middle above the horizon, degrees.
        roll_deg: Degrees by which the camera leant to its right.
        left: Where the picture begins, 0 to 1.
        top: Likewise, from the zenith.
        width: Its width, above 0 to 1.
        height: Its height, above 0 to 1.
        problem: Why no view can be cut out of it; empty if one can.
    """

    heading_deg: float | None = None
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0
    problem: str = ""

    @property
    def is_cropped(self) -> bool:
        """Whether a part of the sphere is missing."""
        return self.width < 1 or self.height < 1


def sphere_of(content: bytes, height_px: int, width_px: int) -> Sphere | None:
    """Returns the panorama of a JPEG's metadata; None for a flat picture.

    Args:
        content: The bytes of the file, or all before its scan.
        height_px: Its height.
        width_px: Its width.
    """
    exif = b""
    for start, end in orientation.application_segments(content):
        if content.startswith(_XMP, start):
            if found := _of_packet(content[start + len(_XMP) : end], height_px, width_px):
                return found
        elif content.startswith(orientation.EXIF, start) and not exif:
            exif = content[start:end]
    is_round = abs(width_px - 2 * height_px) <= _RATIO_TOLERANCE * width_px
    return Sphere() if is_round and exif and _is_camera_of_spheres(exif) else None


def pose_heading_deg(packet: bytes, height_px: int, width_px: int) -> float | None:
    """Returns the bearing of a panorama's middle in an XMP packet, or None."""
    found = _of_packet(packet, height_px, width_px)
    return found.heading_deg if found else None


def _of_packet(packet: bytes, height_px: int, width_px: int) -> Sphere | None:
    """Returns the panorama of an XMP packet, None if it speaks of none."""
    if _NAMESPACE[1:-1].encode() not in packet or b"<!" in packet:
        return None
    try:
        root = ET.fromstring(packet.strip(b"\0 \r\n\t"))  # noqa: S314 - see the import
    except ET.ParseError:
        return None
    values = {}
    for node in root.iter():
        pairs = [*node.attrib.items(), (node.tag, node.text or "")]
        values.update(
            {name.removeprefix(_NAMESPACE): text.strip() for name, text in pairs if name.startswith(_NAMESPACE)}
        )
    projection = values.get("ProjectionType", "").lower()
    if not projection:
        # Phones write no more beside what they stitched on a cylinder.
        is_wide = "PoseHeadingDegrees" in values and width_px > _WIDE * height_px
        return Sphere(problem="its XMP names no projection") if is_wide else None
    if projection != "equirectangular":
        return Sphere(problem=f"its projection is {projection}, not equirectangular")
    return _placed({name: _number(text) for name, text in values.items()}, height_px, width_px)


def _placed(values: dict[str, float | None], height_px: int, width_px: int) -> Sphere:
    """Returns the sphere of GPano's numbers.

    A picture made smaller afterwards keeps them as they were.
    """
    wide, high = values.get("CroppedAreaImageWidthPixels"), values.get("CroppedAreaImageHeightPixels")
    full_wide, full_high = values.get("FullPanoWidthPixels"), values.get("FullPanoHeightPixels")
    pose = Sphere(
        None if values.get("PoseHeadingDegrees") is None else (values["PoseHeadingDegrees"] or 0.0) % 360,
        values.get("PosePitchDegrees") or 0.0,
        values.get("PoseRollDegrees") or 0.0,
    )
    if not full_wide or not full_high or full_wide <= 0 or full_high <= 0:
        is_round = abs(width_px - 2 * height_px) <= _RATIO_TOLERANCE * width_px
        return pose if is_round else dataclasses.replace(pose, problem="its XMP does not say which part it shows")
    width, height = (wide or width_px) / full_wide, (high or height_px) / full_high
    if not wide and not high and abs(width_px / height_px - full_wide / full_high) < _RATIO_TOLERANCE:
        width = height = 1.0
    left, top = (
        (values.get("CroppedAreaLeftPixels") or 0) / full_wide,
        (values.get("CroppedAreaTopPixels") or 0) / full_high,
    )
    is_inside = 0 < width <= 1.01 and 0 < height <= 1.01 and left >= -0.01 and top >= -0.01
    if not is_inside or left + width > 1.01 or top + height > 1.01:
        return dataclasses.replace(pose, problem="its XMP names a part outside the sphere")
    left, top = min(max(left, 0.0), 1.0), min(max(top, 0.0), 1.0)
    return dataclasses.replace(pose, left=left, top=top, width=min(width, 1 - left), height=min(height, 1 - top))


def _number(text: str) -> float | None:
    """Returns a number of XMP, None for what is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_camera_of_spheres(exif: bytes) -> bool:
    """Returns whether EXIF names a camera that takes 2:1 pictures as spheres only."""
    tags = Image.Exif()
    try:
        tags.load(exif)
        name = f"{tags.get(_MAKE, '')} {tags.get(_MODEL, '')}".lower()
    except Exception:  # Pillow's parser raises a dozen kinds on damaged blocks
        return False
    return any(camera in name for camera in _CAMERAS)

"""A town of drawn pictures for Panoramax, flat ones and spheres.

Their colours encode the direction of each pixel.

Red and green are cosine and sine of the bearing, blue rises with the elevation; each picture has a tint of blue of its
own. So a view tells where it really looks, whatever was written beside the picture.
"""

import dataclasses
import datetime
import functools
import io

import drawn_photos
import numpy as np
from PIL import Image

SOUTH, WEST, HEIGHT_DEG, WIDTH_DEG = 58.37, 26.70, 0.02, 0.04
FLAT_PX, SPHERE_PX, FOCAL_35MM = (320, 480), (512, 1024), 26
# What a sphere or a flat picture writes of its direction; "plain" ones tell it by EXIF.
SPHERES = ("plain", "cropped", "tilted", "posed", "zero", "plain", "cropped", "tilted")
FLATS = ("plain", "plain", "zero", "unknown", "plain")
CROP = (0.2, 0.15)
_GPANO = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {}/></rdf:RDF></x:xmpmeta>'
)


@dataclasses.dataclass(frozen=True)
class Shot:
    """A picture; `sequence` numbers the drive it belongs to."""

    name: str
    sequence: int
    lat_deg: float
    lon_deg: float
    taken: datetime.datetime
    is_sphere: bool
    style: str
    heading_deg: float
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    @property
    def crop(self) -> tuple[float, float]:
        """Shares of a sphere's height that are missing above and below."""
        return CROP if self.style == "cropped" else (0.0, 0.0)

    @property
    def size_px(self) -> tuple[int, int]:
        if not self.is_sphere:
            return FLAT_PX
        return round(SPHERE_PX[0] * (1 - sum(self.crop))), SPHERE_PX[1]


@functools.cache
def town(sequences: int, spheres: int, seed: int = 0) -> tuple[Shot, ...]:
    """Returns three shots a sequence, 12 m apart; the first `spheres` are spheres."""
    rng = np.random.default_rng(seed)
    shots = []
    for number in range(sequences):
        is_sphere = number < spheres
        styles = SPHERES if is_sphere else FLATS
        style = styles[number % len(styles)]
        lat, lon = SOUTH + HEIGHT_DEG * rng.uniform(0.05, 0.95), WEST + WIDTH_DEG * rng.uniform(0.05, 0.95)
        tilt = rng.uniform(-18, 18, 2).round(1) if style == "tilted" else (0.0, 0.0)
        start = datetime.datetime(2021, 1, 1) + datetime.timedelta(hours=70 * number)
        for step in range(3):
            shots.append(
                Shot(
                    f"{number:03d}_{step}_{'sphere' if is_sphere else 'flat'}_{style}.jpg", number,
                    round(lat + step * 12 / 111_195, 7), round(lon, 7), start + datetime.timedelta(seconds=5 * step),
                    is_sphere, style, round(float(rng.uniform(1, 359)), 1), float(tilt[0]), float(tilt[1]),
                )
            )  # fmt: skip
    return tuple(shots)


def directions(shot: Shot, height_px: int, width_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns bearings and elevations of pixels, degrees, by rotation matrices."""
    columns, rows = (np.arange(width_px) + 0.5) / width_px, (np.arange(height_px) + 0.5) / height_px
    if shot.is_sphere:
        top, bottom = shot.crop
        aside = np.radians((columns - 0.5) * 360)[None, :]
        up = np.radians(90 - 180 * (top + rows * (1 - top - bottom)))[:, None]
        rays = np.stack(np.broadcast_arrays(np.sin(aside) * np.cos(up), np.cos(aside) * np.cos(up), np.sin(up)), -1)
    else:
        # 36 mm of film; columns are right of the middle, rows below it.
        right, up = (columns - 0.5) * 36 / FOCAL_35MM, (0.5 - rows) * 36 / FOCAL_35MM * height_px / width_px
        rays = np.stack(np.broadcast_arrays(right[None, :], 1.0, up[:, None]), -1)
    heading, pitch, roll = np.radians([shot.heading_deg, shot.pitch_deg, shot.roll_deg])
    # The axes (right, ahead, up) in the world (east, north, up): rolled to the right, then raised, then turned.
    rolled = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    raised = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    turned = np.array([[np.cos(heading), np.sin(heading), 0], [-np.sin(heading), np.cos(heading), 0], [0, 0, 1]])
    east, north, up = np.moveaxis(rays @ (turned @ raised @ rolled).T, -1, 0)
    return np.degrees(np.arctan2(east, north)) % 360, np.degrees(np.arctan2(up, np.hypot(east, north)))


def pixels(shot: Shot, height_px: int, width_px: int) -> np.ndarray:
    """Draws a shot."""
    bearings, elevations = map(np.radians, directions(shot, height_px, width_px))
    tint = np.random.default_rng(list(shot.name.encode())).uniform(-25, 25)
    planes = 127.5 + 110 * np.cos(bearings), 127.5 + 110 * np.sin(bearings), 127.5 + tint + 90 * np.sin(elevations)
    return np.rint(np.stack(planes, -1)).astype(np.uint8)


def jpeg(shot: Shot, height_px: int = 0, width_px: int = 0, **metadata: bytes) -> bytes:
    """Returns the JPEG of a shot, in its own size if none is given."""
    with io.BytesIO() as target:
        drawn = pixels(shot, *((height_px, width_px) if height_px else shot.size_px))
        Image.fromarray(drawn).save(target, "JPEG", quality=93, **metadata)
        return target.getvalue()


def upload(shot: Shot) -> bytes:
    """Returns the JPEG of a shot with EXIF and XMP as cameras write them."""
    tags = drawn_photos.position_tags(shot.lat_deg, shot.lon_deg)
    written = {"plain": shot.heading_deg, "cropped": shot.heading_deg, "tilted": shot.heading_deg, "zero": 0.0}
    if shot.style in written:
        tags |= {16: "T", 17: drawn_photos.rational(written[shot.style], 100)}
    exif = Image.Exif()
    exif[315] = "Ann Example"
    exif.get_ifd(0x8825).update(tags)
    exif.get_ifd(0x8769).update(
        {36867: f"{shot.taken:%Y:%m:%d %H:%M:%S}"} | ({} if shot.is_sphere else {41989: FOCAL_35MM})
    )
    return jpeg(shot, exif=exif.tobytes(), **({"xmp": _gpano(shot)} if shot.is_sphere else {}))


def _gpano(shot: Shot) -> bytes:
    """Returns the XMP of a sphere."""
    height_px, width_px = shot.size_px
    words = {"ProjectionType": "equirectangular", "UsePanoramaViewer": "True"}
    if shot.style == "cropped":
        words |= {"FullPanoWidthPixels": width_px, "FullPanoHeightPixels": SPHERE_PX[0], "CroppedAreaLeftPixels": 0}
        words |= {"CroppedAreaImageWidthPixels": width_px, "CroppedAreaImageHeightPixels": height_px}
        words |= {"CroppedAreaTopPixels": round(SPHERE_PX[0] * CROP[0])}
    if shot.style == "posed":
        words |= {"PoseHeadingDegrees": shot.heading_deg}
    if shot.style == "tilted":
        words |= {"PosePitchDegrees": shot.pitch_deg, "PoseRollDegrees": shot.roll_deg}
    return _GPANO.format(" ".join(f'GPano:{name}="{value}"' for name, value in words.items())).encode()


def looks_to(view: np.ndarray) -> float:
    """Returns where the middle of a view looks, degrees, by its colours."""
    height_px, width_px = view.shape[:2]
    middle = view[height_px // 2 - 4 : height_px // 2 + 4, width_px // 2 - 4 : width_px // 2 + 4].astype(float)
    red, green, _ = middle.mean((0, 1)) - 127.5
    return float(np.degrees(np.arctan2(green, red))) % 360

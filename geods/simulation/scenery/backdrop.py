"""Background of a scene: sky, hills and ground."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from geods.geo import geometry
from geods.simulation.scenery import fields, palette
from geods.simulation.scenery.camera import HEIGHT_M, Camera
from geods.simulation.scenery.place import Place

# Sky and ground are soft: a quarter of the canvas's resolution is enough, at a sixteenth of the time.
_COARSE = 4
_SUN = (255.0, 246.0, 214.0)
_FIELD_M, _PATCH_M, _TUFT_M = 2.4, 1.1, 0.12


def draw(canvas: Image.Image, camera: Camera, place: Place) -> None:
    """Draws sky, hills and ground over the whole canvas."""
    horizon = int(camera.horizon_px)
    _paste(canvas, _sky(camera, place, max(2, horizon // _COARSE)), 0, horizon)
    _draw_hills(ImageDraw.Draw(canvas), camera, place)
    below = camera.height_px - horizon
    # In a picture many times wider than high the horizon lies below the frame.
    if below > 1:
        _paste(canvas, _ground(camera, place, max(2, below // _COARSE)), horizon, below)


def hazy(colour: palette.Colour, place: Place, distance_m: float) -> palette.Colour:
    """Returns a colour as seen through `distance_m` of air."""
    return palette.mix(colour, place.palette.horizon, air_share(place, distance_m))


def air_share(place: Place, distance_m: float) -> float:
    """Returns the share of a colour that is the air's after `distance_m`."""
    return 1 - math.exp(-distance_m / place.sight_m)


def _paste(canvas: Image.Image, pixels: npt.NDArray[np.uint8], top: int, rows: int) -> None:
    """Resizes pixels to some rows of the canvas."""
    half = Image.fromarray(pixels).resize((canvas.width // 2, (rows + 1) // 2), Image.Resampling.BILINEAR)
    # The canvas is halved in the end, so smooth steps below two of its pixels would be lost work.
    canvas.paste(half.resize((canvas.width, rows), Image.Resampling.NEAREST), (0, top))


def _sky(camera: Camera, place: Place, rows: int) -> npt.NDArray[np.uint8]:
    """Returns the pixels of the sky, `[rows, columns, 3]`."""
    colours = place.palette
    azimuths = camera.azimuths_deg(np.arange(_COARSE // 2, camera.width_px, _COARSE)).astype(np.float32)
    up = (np.arange(rows, dtype=np.float32)[::-1] + 0.5) * (camera.horizon_px / rows / camera.focal_px)
    heights = np.degrees(np.arctan(up))
    zenith, horizon = _floats(colours.zenith), _floats(colours.horizon)
    gradient = horizon + np.clip(heights / 50, 0, 1)[:, None] ** 0.6 * (zenith - horizon)
    aside = (azimuths - place.sun_azimuth_deg + 180) % 360 - 180
    glow = np.exp(-(aside**2) / 700)[None] * np.exp(-((heights - place.sun_height_deg) ** 2) / 700)[:, None]
    shine = (0.55 * (1 - place.traits["cloud"]) * glow)[..., None].astype(np.float32)
    sky = gradient[:, None] + shine * (_floats(_SUN) - gradient[:, None])
    sky += _clouds(azimuths, heights, place)[..., None] * (_floats(colours.cloud) - sky)
    return sky.clip(0, 255).astype(np.uint8)


def _clouds(
    azimuths_deg: npt.NDArray[np.float32], heights_deg: npt.NDArray[np.float32], place: Place
) -> npt.NDArray[np.float32]:
    """Returns the opacity of the clouds, `[rows, columns]`, 0 to 1."""
    across, down, _, _ = place.offsets
    # Twice round the tile is once round the horizon, so the clouds close behind the camera.
    cover = fields.at("clouds", 1.6, 90 * np.log1p(heights_deg / 8) + down, azimuths_deg * (fields.SIZE / 180) + across)
    return np.clip((cover - (1.5 - 2.2 * place.traits["cloud"])) / 0.9, 0, 0.92)


def _draw_hills(pen: ImageDraw.ImageDraw, camera: Camera, place: Place) -> None:
    """Draws two ranges of hills and the trees before them."""
    colours, ridge = place.palette, place.traits["ridge"]
    trees = palette.mix(palette.mix(colours.leaf, colours.needle, place.traits["conifer"]), (0, 0, 0), 0.28)
    near = palette.mix(colours.rock, colours.ground, 0.5)
    heights_deg = (0.5 + 13 * ridge**1.6, 0.5 + 5 * ridge, 0.3 + 3.2 * place.traits["woodland"])
    shades = ((colours.rock, 2400), (near, 1000), (trees, 380))
    for waves, height_deg, (colour, distance_m) in zip(place.hills, heights_deg, shades, strict=True):
        _draw_skyline(pen, camera, waves, height_deg, palette.rgb(hazy(colour, place, distance_m)))


def _draw_skyline(
    pen: ImageDraw.ImageDraw, camera: Camera, waves: geometry.Array, height_deg: float, colour: tuple[int, int, int]
) -> None:
    """Draws everything below a skyline.

    Args:
        pen: Of the canvas.
        camera: The view.
        waves: `[n, 3]`: whole waves in a round of 360 degrees, height, phase; whole numbers close the round.
        height_deg: Mean height over the horizon.
        colour: To fill it with.
    """
    columns = np.linspace(0, camera.width_px, 200)
    azimuths = np.radians(camera.azimuths_deg(columns))
    shape = waves[:, 1] @ np.sin(waves[:, :1] * azimuths + waves[:, 2:])
    heights = np.radians(height_deg * np.clip(1 + 0.55 * shape, 0.05, None))
    rows = camera.horizon_px - camera.focal_px * np.tan(heights)
    floor = camera.horizon_px + 2
    edge = zip(columns.tolist(), rows.tolist(), strict=True)
    pen.polygon([(0, floor), *edge, (camera.width_px, floor)], colour)


def _ground(camera: Camera, place: Place, rows: int) -> npt.NDArray[np.uint8]:
    """Returns the textured pixels of the ground, `[rows, columns, 3]`."""
    colours, traits = place.palette, place.traits
    below = (np.arange(rows) + 0.5) * (camera.height_px - camera.horizon_px) / rows
    ahead = camera.focal_px * HEIGHT_M / below[:, None]
    columns = np.arange(_COARSE // 2, camera.width_px, _COARSE)
    right = (columns - camera.width_px / 2) / camera.focal_px * ahead
    points = _on_the_ground(camera, place, right, ahead)
    patch = fields.at("fields", 1.9, *(points / _FIELD_M))
    cropped = np.clip(4 * (patch - 0.9 + 1.3 * traits["settlement"] * traits["moisture"]), 0, 1)
    bare = np.clip(1.5 * (fields.at("bare", 1.2, *(points / _PATCH_M)) - 0.6), 0, 0.55) * (1 - colours.snow_share)
    light = 1 + 0.10 * fields.at("patches", 0.7, *(points / _PATCH_M))
    # A tuft smaller than a pixel would sparkle instead of fading into the distance.
    fade = np.minimum(1, _TUFT_M * camera.focal_px / _COARSE / ahead / 2)
    light += (0.13 * fade).astype(np.float32) * fields.at("tufts", 0.7, *(points / _TUFT_M))
    ground = _floats(colours.ground) + cropped[..., None] * (_floats(colours.crop) - _floats(colours.ground))
    ground += bare[..., None] * (_floats(colours.soil) - ground)
    ground *= light[..., None]
    air = (1 - np.exp(-ahead / place.sight_m)).astype(np.float32)[..., None]
    ground += air * (_floats(colours.horizon) - ground)
    return ground.clip(0, 255).astype(np.uint8)


def _floats(colour: palette.Colour) -> npt.NDArray[np.float32]:
    return np.array(colour, dtype=np.float32)


def _on_the_ground(
    camera: Camera, place: Place, right_m: geometry.Array, ahead_m: geometry.Array
) -> npt.NDArray[np.float32]:
    """Returns (north, east) `[2, rows, columns]` in metres of ground points."""
    sin, cos = math.sin(math.radians(camera.heading_deg)), math.cos(math.radians(camera.heading_deg))
    north = ahead_m * cos - right_m * sin + place.offsets[2]
    east = ahead_m * sin + right_m * cos + place.offsets[3]
    return np.stack([north, east]).astype(np.float32)

"""Views cut out of a panorama whose colours are its bearings."""

import io

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from PIL import Image

from geods import errors
from geods.imagery import perspective


def compass(centre_deg=0.0, width_px=720):
    """A panorama: cosine and sine of the bearing in red and green.

    The elevation in blue.
    """
    bearings = np.radians(centre_deg + ((np.arange(width_px) + 0.5) / width_px - 0.5) * 360)[None, :]
    elevations = (90 - (np.arange(width_px // 2) + 0.5) * 360 / width_px)[:, None]
    planes = np.broadcast_arrays(127.5 + 127 * np.cos(bearings), 127.5 + 127 * np.sin(bearings), 127.5 + elevations)
    return np.rint(np.stack(planes, -1)).astype(np.uint8)


def bearing_of(pixel):
    red, green, _ = (np.asarray(pixel, float) - 127.5) / 127
    return np.degrees(np.arctan2(green, red)) % 360


def turn(a, b):
    return (a - b + 180) % 360 - 180


@pytest.mark.parametrize("heading", [0, 45, 90, 179.5, 180, 270, 359.9, -90, 725])
@pytest.mark.parametrize("centre", [0, 33.3, 180, 359])
def test_the_middle_looks_where_it_was_told_and_the_edges_half_the_field_beside(heading, centre):
    camera = perspective.Camera(heading, 0.0, 100.0, 101, 201)
    view = perspective.cut(compass(centre), centre, camera)
    assert view.shape == (101, 201, 3)
    assert abs(turn(bearing_of(view[50, 100]), heading)) < 0.6
    # The outer pixels' centres are half a pixel inside the field: 0.2 degrees there.
    assert turn(bearing_of(view[50, 0]), heading) == pytest.approx(-50, abs=0.9)
    assert turn(bearing_of(view[50, 200]), heading) == pytest.approx(50, abs=0.9)


@hypothesis.given(
    heading=strategies.floats(-400, 400),
    pitch=strategies.floats(-90, 90),
    fov=strategies.floats(10, 120),
)
def test_rays_are_those_of_a_pinhole_camera(heading, pitch, fov):
    camera = perspective.Camera(heading, pitch, fov, 41, 61)
    bearings, elevations = (np.radians(angles) for angles in camera.bearings_and_elevations())
    rays = np.stack(
        [np.sin(bearings) * np.cos(elevations), np.cos(bearings) * np.cos(elevations), np.sin(elevations)], -1
    )
    h, p = np.radians(heading), np.radians(pitch)
    axis = np.array([np.sin(h) * np.cos(p), np.cos(h) * np.cos(p), np.sin(p)])
    right = np.array([np.cos(h), -np.sin(h), 0.0])
    up = np.cross(right, axis)
    depth = rays @ axis
    np.testing.assert_allclose(rays[20, 30], axis, atol=1e-9)
    focal = 61 / 2 / np.tan(np.radians(fov / 2))
    np.testing.assert_allclose(rays @ right / depth * focal, np.broadcast_to(np.arange(61) - 30, (41, 61)), atol=1e-6)
    np.testing.assert_allclose(
        rays @ up / depth * focal, np.broadcast_to((20 - np.arange(41))[:, None], (41, 61)), atol=1e-6
    )


def test_the_edge_of_the_picture_plane_is_half_the_field():
    camera = perspective.Camera(0.0, 0.0, 100.0, 1, 4096)
    bearings, _ = camera.bearings_and_elevations()
    assert turn(bearings[0, 0], 0) == pytest.approx(-50, abs=0.02)
    assert turn(bearings[0, -1], 0) == pytest.approx(50, abs=0.02)


@pytest.mark.parametrize("pitch", [-40, 0, 10, 60])
def test_the_middle_is_raised_by_the_pitch(pitch):
    view = perspective.cut(compass(), 0.0, perspective.Camera(120.0, pitch, 60.0, 51, 51))
    assert float(view[25, 25, 2]) - 127.5 == pytest.approx(pitch, abs=1)


@pytest.mark.parametrize("pitch", [-90, 90])
def test_at_the_poles(pitch):
    view = perspective.cut(compass(), 0.0, perspective.Camera(0.0, pitch, 90.0, 51, 51))
    assert abs(float(view[25, 25, 2]) - 127.5) > 88
    # Looking up, north is at the lower edge; looking down, at the upper.
    assert abs(turn(bearing_of(view[50 if pitch > 0 else 0, 25]), 0)) < 2


def test_no_seam_where_the_bearings_begin_again():
    view = perspective.cut(compass(0.0), 0.0, perspective.Camera(180.0, 0.0, 60.0, 3, 600)).astype(int)
    assert np.abs(np.diff(view[1], axis=0)).max() <= 2


def test_views_side_by_side_meet():
    left = perspective.cut(compass(), 0.0, perspective.Camera(10.0, 0.0, 90.0, 3, 400)).astype(int)
    right = perspective.cut(compass(), 0.0, perspective.Camera(100.0, 0.0, 90.0, 3, 400)).astype(int)
    assert np.abs(left[1, -1] - right[1, 0]).max() <= 2


def test_between_two_pixels_the_mean():
    stripes = np.zeros((4, 8, 3), np.uint8)
    stripes[:, 4:] = 200
    # The middle of the panorama lies between its columns 3 and 4.
    view = perspective.cut(stripes, 0.0, perspective.Camera(0.0, 0.0, 1.0, 1, 1))
    assert view.tolist() == [[[100, 100, 100]]]


def test_fine_detail_is_averaged_not_skipped():
    stripes = np.zeros((2000, 4000, 3), np.uint8)
    stripes[:, ::2] = 200
    view = perspective.cut(stripes, 0.0, perspective.Camera(40.0, 0.0, 100.0, 20, 40))
    assert np.abs(view.astype(int) - 100).max() <= 3


def test_what_is_not_a_whole_sphere():
    with pytest.raises(errors.ImageRefused, match="700 x 256 pixels, and is not twice as wide"):
        perspective.cut(np.zeros((256, 700, 3), np.uint8), 0.0, perspective.Camera(0.0))
    perspective.check_ratio(1023, 2048)


def test_flat_pictures_are_cropped_about_their_middle_and_shrunk():
    wide = np.zeros((100, 400, 3), np.uint8)
    wide[:, 100:300] = 200
    view = perspective.fit(wide, 50, 100)
    assert view.shape == (50, 100, 3)
    assert view.min() > 180
    with pytest.raises(errors.ImageRefused, match="400 x 100 pixels, less than 402 x 50"):
        perspective.fit(wide, 50, 402)


def test_jpegs_have_no_metadata():
    content = perspective.to_jpeg(compass())
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (720, 360))
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert np.abs(np.asarray(image).astype(int) - compass()).mean() < 3


@pytest.mark.parametrize(
    "changes", [{"pitch_deg": 91}, {"fov_deg": 0}, {"fov_deg": 180}, {"height_px": 0}, {"width_px": 5000}]
)
def test_impossible_cameras(changes):
    with pytest.raises(errors.OptionError, match="is not from"):
        perspective.Camera(0.0, **changes)


def test_headings_that_are_none():
    with pytest.raises(errors.OptionError, match="heading nan is not a number"):
        perspective.Camera(float("nan"))
    with pytest.raises(errors.OptionError, match="heading inf is not a number"):
        perspective.cut(compass(), float("inf"), perspective.Camera(0.0))


def test_a_tilted_panorama_is_levelled_and_tilt_has_the_signs_of_gpano():
    # A panorama whose middle looks 10 degrees up has the horizon below its middle; leant right, it rises to the right.
    camera = perspective.Camera(0.0, 0.0, 60.0, 31, 31)
    _, elevations = perspective.Pose(0.0, pitch_deg=10.0).bearings_and_elevations(camera)
    assert elevations[15, 15] == pytest.approx(-10)
    _, elevations = perspective.Pose(0.0, roll_deg=10.0).bearings_and_elevations(camera)
    assert elevations[15, 30] > 3
    assert elevations[15, 0] < -3


def test_a_cropped_panorama_gives_the_views_of_the_whole_one_or_none():
    whole = compass()
    crop = perspective.Crop(top=0.25, bottom=0.25)
    for heading in (0.0, 180.0):
        camera = perspective.Camera(heading, 0.0, 90.0, 51, 101)
        cropped = perspective.cut(whole[90:270], 0.0, camera, crop)
        assert np.abs(cropped.astype(int) - perspective.cut(whole, 0.0, camera)).max() <= 1
    with pytest.raises(errors.ImageRefused, match="outside the cropped panorama"):
        perspective.cut(whole[90:270], 0.0, perspective.Camera(0.0, 30.0, 90.0, 51, 51), crop)
    beside = perspective.Crop(left=0.25, right=0.25)
    view = perspective.cut(whole[:, 180:540], 0.0, perspective.Camera(0.0, 0.0, 90.0, 51, 101), beside)
    assert view.shape == (51, 101, 3)
    with pytest.raises(errors.ImageRefused, match="outside the cropped panorama"):
        perspective.cut(whole[:, 180:540], 0.0, perspective.Camera(180.0, 0.0, 90.0, 51, 101), beside)
    with pytest.raises(errors.ImageRefused, match="not twice as wide as high"):
        perspective.cut(whole, 0.0, perspective.Camera(0.0), crop)

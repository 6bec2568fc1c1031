"""Views, and other images with status 200."""

import io

import checkout
import drawn_views
import numpy as np
import pytest
from PIL import Image

from geods import errors
from geods.imagery import image_checks

REAL = checkout.SHARED / "data" / "us_street_view"


def refused(content: bytes, words: str, **keywords) -> errors.ImageRefused:
    with pytest.raises(errors.ImageRefused, match=words) as caught:
        check(content, **keywords)
    return caught.value


def check(content: bytes, content_type="image/jpeg", content_length=None, height_px=300, width_px=600) -> None:
    image_checks.check_street_view_image(content, height_px, width_px, content_type, content_length)


def png() -> bytes:
    with io.BytesIO() as target:
        Image.new("RGB", (600, 300)).save(target, "PNG")
        return target.getvalue()


@pytest.mark.parametrize("kind", ["image/jpeg", "image/jpeg; charset=binary", "IMAGE/JPEG", "image/jpg", ""])
def test_a_view_is_taken(kind):
    check(drawn_views.view(), kind, len(drawn_views.view()))


@pytest.mark.parametrize("tail", [b"", b"\n", b"\0" * 100, b"\r\n--boundary"])
def test_bytes_after_the_end_do_no_harm(tail):
    check(drawn_views.view() + tail)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True, "quality": 40}])
def test_every_way_to_write_a_jpeg_is_taken(options):
    check(drawn_views.jpeg(Image.open(io.BytesIO(drawn_views.view())), **options))


def test_a_grey_scale_photograph_is_taken():
    check(drawn_views.jpeg(Image.open(io.BytesIO(drawn_views.view())).convert("L")))


def test_a_thumbnail_inside_is_not_taken_for_the_image():
    content = drawn_views.with_thumbnail()
    check(content)
    assert refused(content[: len(content) // 2], "before its end-of-image marker").reason == "truncated"


@pytest.mark.parametrize(
    ("content", "kind", "reason", "words"),
    [
        (b"", "image/jpeg", "empty", r"is empty \(0 bytes\)"),
        (b"<html>Log in</html>", "text/html", "not_jpeg", r"no JPEG \(text/html"),
        (b"<html>Log in</html>", "image/jpeg", "not_jpeg", r"no JPEG \(image/jpeg, 3c 68 74 6d"),
        (b"The provided key", "text/plain; charset=utf-8", "not_jpeg", "no JPEG"),
        (drawn_views.view(), "text/html", "not_jpeg", r"no JPEG \(text/html, ff d8"),
        (png(), "image/png", "not_jpeg", "no JPEG"),
        (png(), "", "not_jpeg", r"no JPEG \(type unknown"),
        (drawn_views.view()[:-2], "image/jpeg", "truncated", "before its end-of-image marker"),
        (drawn_views.view()[: len(drawn_views.view()) // 2], "image/jpeg", "truncated", "before its end-of-image"),
        # What a decoder cannot read of a scan that ends too early, it paints in one grey.
        (drawn_views.view()[:9000] + b"\xff\xd9", "image/jpeg", "damaged", "holds no data for its lower part"),
        (b"\xff\xd8\xff" + bytes(3000), "image/jpeg", "damaged", "is a damaged JPEG"),
        (b"\xff\xd8\xff\xd9", "image/jpeg", "damaged", "is a damaged JPEG"),
    ],
)
def test_damage_on_the_way_is_refused_for_now(content, kind, reason, words):
    error = refused(content, words, content_type=kind)
    assert (error.reason, error.transient) == (reason, True)


def test_another_length_than_announced_is_refused_for_now():
    error = refused(drawn_views.view(), "of 99,999 bytes", content_length=99_999)
    assert (error.reason, error.transient) == ("truncated", True)


@pytest.mark.parametrize("size", [(640, 300), (600, 299), (300, 600)])
def test_another_size_is_refused_for_good(size):
    content = drawn_views.view(width_px=size[0], height_px=size[1])
    error = refused(content, f"has {size[0]} x {size[1]} pixels, not 600 x 300")
    assert (error.reason, error.transient) == ("wrong_size", False)


@pytest.mark.parametrize("ground", [drawn_views.GREY, drawn_views.OLD_GREY])
@pytest.mark.parametrize("quality", [50, 85, 95])
@pytest.mark.parametrize(("width_px", "height_px"), [(600, 300), (400, 200), (640, 640)])
def test_the_picture_of_no_imagery_is_refused_for_good(ground, quality, width_px, height_px):
    content = drawn_views.written(drawn_views.NO_IMAGERY, ground, height_px, width_px, quality)
    error = refused(content, "says there is no imagery", height_px=height_px, width_px=width_px)
    assert (error.reason, error.transient) == ("grey", False)


@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 0, 0), (200, 30, 30)])
@pytest.mark.parametrize("quality", [50, 85, 95])
@pytest.mark.parametrize(("width_px", "height_px"), [(600, 300), (400, 200), (640, 640)])
def test_a_picture_of_a_message_is_refused_for_now(ground, quality, width_px, height_px):
    content = drawn_views.written(drawn_views.MESSAGE, ground, height_px, width_px, quality)
    error = refused(content, "as in a picture of a message", height_px=height_px, width_px=width_px)
    assert (error.reason, error.transient) == ("error_image", True)


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (8, 8), (9, 17)])
def test_block_means_of_any_size(size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    content = drawn_views.jpeg(Image.fromarray(pixels))
    share, colour = image_checks.flat_share(image_checks.block_means(content))
    assert 0 < share <= 1
    assert all(0 <= value <= 255 for value in colour)


def test_flat_share_of_known_pixels():
    pixels = np.array([[[1, 2, 3], [1, 2, 3]], [[1, 2, 3], [250, 251, 252]]], np.uint8)
    assert image_checks.flat_share(pixels) == (0.75, (1, 2, 3))
    assert image_checks.flat_share(pixels[1:, 1:]) == (1.0, (250, 251, 252))


def test_a_white_sky_and_a_dark_night_are_taken():
    pixels = np.array(Image.open(io.BytesIO(drawn_views.view())))
    pixels[:130] = 255
    check(drawn_views.jpeg(Image.fromarray(pixels)))
    night = np.random.default_rng(0).normal(12, 4, (300, 600, 1)) + np.linspace(0, 6, 600)[:, None]
    check(drawn_views.jpeg(Image.fromarray(night.clip(0, 255).astype(np.uint8).repeat(3, axis=2))))


@pytest.mark.skipif(not REAL.is_dir(), reason="no real views beside the project")
def test_no_real_view_is_refused_and_the_margin_is_wide():
    # Every third of 2,970, each of which takes 2 ms; the largest share of all was below 0.31 too.
    paths = sorted(REAL.rglob("*.jpg"))[::3]
    shares = []
    for path in paths:
        content = path.read_bytes()
        with Image.open(path) as picture:
            width_px, height_px = picture.size
        check(content, "image/jpeg", len(content), height_px, width_px)
        shares.append(image_checks.flat_share(image_checks.block_means(content))[0])
    assert len(paths) >= 990
    assert max(shares) < 0.31

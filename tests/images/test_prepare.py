"""Every common image file becomes upright RGB or an ImageError with the reason; the resize rule is the papers'."""

import io
import logging
import struct
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from condetr.build import build_prepare
from condetr.config import Data
from condetr.errors import ImageError
from condetr.images import decode, grey
from condetr.images.prepare import MEAN, STD, Prepare, fit, image_size, normalise, open_image, resize

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)

# EXIF 2.32: which stored corner and direction the first row and column are, as numpy turns them upright
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[:, ::-1].transpose(1, 0, 2),
}


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


# --- orientation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_every_orientation_becomes_upright(format: str, orientation: int) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    content = encoded(Image.fromarray(IMAGE), format, exif=turned(orientation), **options)
    expected = UPRIGHT[orientation](IMAGE)
    np.testing.assert_array_equal(open_image(content), expected)
    assert image_size(content) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_jpeg_and_pil_images_become_upright_too(orientation: int) -> None:
    content = encoded(Image.fromarray(IMAGE), "JPEG", exif=turned(orientation))
    expected = UPRIGHT[orientation](open_image(encoded(Image.fromarray(IMAGE), "JPEG")))
    np.testing.assert_array_equal(open_image(content), expected)
    np.testing.assert_array_equal(open_image(Image.open(io.BytesIO(content))), expected)
    assert image_size(content) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_invalid_orientations_are_ignored(orientation: int) -> None:
    content = encoded(Image.fromarray(IMAGE), "PNG", exif=turned(orientation))
    np.testing.assert_array_equal(open_image(content), IMAGE)


def test_orientation_stored_behind_the_pixels_of_a_png_is_applied() -> None:
    content = encoded(Image.fromarray(IMAGE), "PNG")
    data = turned(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    content = content[:-12] + chunk + content[-12:]
    np.testing.assert_array_equal(open_image(content), UPRIGHT[6](IMAGE))
    assert image_size(content) == (5, 8)


def test_the_size_of_a_png_is_read_without_its_pixels() -> None:
    content = encoded(Image.fromarray(IMAGE), "PNG", exif=turned(6))
    pixels = content.index(b"IDAT")
    broken = content[: pixels + 6] + b"\xff" * (len(content) - pixels - 6)
    assert image_size(broken) == (5, 8)
    with pytest.raises(ImageError):
        open_image(broken)


# --- modes ----------------------------------------------------------------------------------------------------------


def test_sixteen_bits_are_scaled_by_the_range_of_the_type() -> None:
    values = np.array([[0, 128, 257, 32768, 65535]], dtype=np.uint16)
    image = open_image(encoded(Image.fromarray(values), "PNG"))
    assert image[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert (image == image[..., :1]).all()


def test_integers_and_floats_outside_the_usual_range_are_scaled_by_their_own() -> None:
    assert open_image(Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)))[0, :, 0].tolist() == [0, 128, 255]
    assert open_image(Image.fromarray(np.array([[-1.0, 0, 1]], np.float32)))[0, :, 0].tolist() == [0, 128, 255]
    assert open_image(Image.fromarray(np.array([[-5, 95]], np.int32)))[0, :, 0].tolist() == [0, 255]
    odd = np.array([[np.nan, 3, np.inf, -np.inf, 5]], np.float32)
    assert open_image(Image.fromarray(odd))[0, :, 0].tolist() == [0, 0, 255, 0, 255]
    with pytest.raises(ImageError, match="every pixel is NaN or infinite"):
        open_image(Image.fromarray(odd[:, :1]))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
@pytest.mark.parametrize("band", [1, 40, 1 << 20])
def test_deep_grey_converted_in_bands_equals_the_whole(mode: str, band: int, monkeypatch) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (23, 13)).astype(np.uint16)
    values = deep.astype(np.float64) - (70000 if mode in ("I", "F") else 0)  # beyond 16 bits: by their own range
    if mode == "I;16B":
        image = Image.frombytes(mode, (13, 23), deep.astype(">u2").tobytes())
    else:
        image = Image.fromarray(deep if mode == "I;16" else values.astype(np.int32 if mode == "I" else np.float32))
    assert image.mode == mode
    low, high = (0.0, 65535.0) if mode.startswith("I;16") else (values.min(), values.max())
    monkeypatch.setattr(grey, "BAND", band)
    assert (open_image(image)[..., 0] == np.rint((values - low) * (255 / (high - low)))).all()


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_grey_takes_little_memory(mode: str) -> None:
    """Besides the result (1 byte a pixel) only a band is in memory; the whole image as floats takes 8 bytes a pixel."""
    image = Image.new(mode, (6000, 4000), 3)
    tracemalloc.start()
    try:
        converted = grey.to_eight_bits(image)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert converted.nbytes == 24e6
    assert peak < 24e6 + 40 * grey.BAND


def test_transparent_pixels_are_blended_with_white() -> None:
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], dtype=np.uint8)
    expected = [[255, 255, 255], [10, 20, 30], [204, 204, 204]]
    assert open_image(encoded(Image.fromarray(rgba), "PNG"))[0].tolist() == expected
    assert open_image(rgba)[0].tolist() == expected
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([9, 9, 9, 200, 0, 0])
    assert open_image(encoded(palette, "PNG", transparency=0))[0].tolist() == [[255, 255, 255], [200, 0, 0]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = open_image(Image.new(mode, (3, 2)))
    assert (image.shape, image.dtype) == ((2, 3, 3), np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "F"])
def test_conversion_in_bands_equals_the_whole(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    if mode == "P":
        image = Image.fromarray(random.integers(0, 256, (7, 5), np.uint8), "P")
        image.putpalette(random.integers(0, 256, 768, np.uint8).tobytes())
        image.info["transparency"] = 3
    elif mode in ("I;16", "F"):
        image = Image.fromarray(random.integers(0, 9999, (7, 5)).astype(np.uint16 if mode == "I;16" else np.float32))
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        image = Image.frombytes(mode, (5, 7), random.integers(0, 256, 35 * bands, np.uint8).tobytes())
    for orientation in UPRIGHT:
        image.getexif()[0x0112] = orientation
        monkeypatch.setattr(decode, "BAND", 1 << 20)
        whole = open_image(image)
        monkeypatch.setattr(decode, "BAND", 10)
        np.testing.assert_array_equal(open_image(image), whole)


def test_cmyk_jpegs_keep_their_colors() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(open_image(encoded(red, "JPEG")).astype(int) - [255, 0, 0]).max() < 5


def test_the_first_frame_of_an_animation_is_used() -> None:
    first, second = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 255, 0))
    content = encoded(first, "GIF", save_all=True, append_images=[second])
    assert open_image(content)[0, 0].tolist() == [255, 0, 0]


# --- arrays and refusals --------------------------------------------------------------------------------------------


def test_arrays_are_rgb_or_grey() -> None:
    np.testing.assert_array_equal(open_image(IMAGE), IMAGE)
    np.testing.assert_array_equal(open_image(IMAGE[..., 0]), np.repeat(IMAGE[..., :1], 3, axis=2))
    for wrong in (IMAGE.astype(np.float32), IMAGE.transpose(2, 0, 1), IMAGE[..., :2], IMAGE[0, 0]):
        with pytest.raises(ImageError, match="expected uint8 RGB"):
            open_image(wrong)
    with pytest.raises(ImageError, match="no pixels"):
        open_image(IMAGE[:0])


def test_errors_name_the_reason(tmp_path: Path) -> None:
    whole = encoded(Image.fromarray(IMAGE.repeat(40, 0).repeat(40, 1)), "JPEG")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.jpg").touch()
    reasons = {
        tmp_path / "missing.jpg": "no such file",
        tmp_path: "a folder",
        tmp_path / "text.jpg": "not an image",
        tmp_path / "empty.jpg": "0 bytes",
        whole[: len(whole) // 2]: "cut short",
        b"\x89PNG\r\n\x1a\n": "a broken PNG",
        "a\0b": "null",
    }
    for source, reason in reasons.items():
        with pytest.raises(ImageError, match=reason) as error:
            open_image(source)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"])
def test_files_that_are_cut_short_are_called_so(format: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), format)
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    for source in (tmp_path / "cut", whole[: len(whole) // 2]):
        with pytest.raises(ImageError, match=r"^cut short \("):
            open_image(source)


@pytest.mark.parametrize(("place", "value", "kind"), [(4, 12, "of 12 bits"), (1, 0xC3, "without loss")])
def test_jpegs_of_unusual_kinds_are_named(place: int, value: int, kind: str) -> None:
    content = bytearray(encoded(Image.fromarray(IMAGE), "JPEG", exif=b"Exif\0\0MM"))
    content[content.index(b"\xff\xc0") + place] = value
    with pytest.raises(ImageError, match=f"^a JPEG {kind}, which is not read. Convert it to PNG"):
        open_image(bytes(content))


def test_a_decompression_bomb_is_refused_even_if_the_process_removed_pillows_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decode, "MOST_PIXELS", 39)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    content = encoded(Image.fromarray(IMAGE), "PNG")
    for refuse in (open_image, image_size):
        with pytest.raises(ImageError, match="39 pixels"):
            refuse(content)


def test_decoding_in_threads_leaves_the_warning_filters_as_they_are() -> None:
    """They belong to the whole process, also where Pillow warns: here about EXIF that is cut short."""
    content = encoded(Image.fromarray(IMAGE), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    with warnings.catch_warnings(record=True) as shown, ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("always")
        before, loggers = list(warnings.filters), list(logging.getLogger("PIL").handlers)
        seen = set(pool.map(lambda _: (open_image(content).shape, image_size(content)), range(64)))
        assert warnings.filters == before
        assert logging.getLogger("PIL").handlers == loggers
    assert seen == {((5, 8, 3), (8, 5))}
    assert any("EXIF" in str(warning.message) for warning in shown)


def test_real_odd_files_are_decoded_or_refused(real_data: Path) -> None:
    files = [file for file in sorted((real_data / "weird_images").iterdir()) if file.is_file()]
    refused = set()
    for file in files:
        try:
            image = open_image(file)
        except ImageError:
            refused.add(file.name)
        else:
            assert image_size(file) == (image.shape[1], image.shape[0])
    assert "decompression_bomb.gif" in refused
    assert len(files) - len(refused) >= 70


# --- size and pixels ------------------------------------------------------------------------------------------------


def test_fit_is_the_papers_rule() -> None:
    """facts.md of the specification, section 12.9: computed by the published code."""
    assert fit((640, 320), 800, 1333) == (1332, 666)
    assert fit((640, 360), 800, 1333) == (1333, 750)
    assert fit((640, 480), 800, 1333) == (1066, 800)
    assert fit((480, 640), 800, 1333) == (800, 1066)
    assert fit((800, 800), 800, 1333) == (800, 800)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 1000), st.integers(1, 3000))
def test_fit_keeps_the_aspect_and_the_limits(width: int, height: int, short: int, longest: int) -> None:
    longest = max(short, longest)
    new = fit((width, height), short, longest)
    assert fit((height, width), short, longest) == (new[1], new[0])
    assert 1 <= min(new) <= short
    low, high = sorted((width, height))
    assert max(new) <= longest + high / low  # half a pixel of the short side, seen from the long one, and rounding
    if min(new) > 1:
        assert abs(max(new) / min(new) - high / low) <= 1 / min(new)


def test_a_strip_keeps_one_pixel() -> None:
    assert fit((20000, 1), 800, 1333) == (1333, 1)
    assert fit((1, 20000), 800, 1333) == (1, 1333)


def test_resize_is_antialiased() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, ::2] = 255
    assert resize(image, (8, 4)) is image
    small = resize(image, (2, 1))
    assert small.shape == (1, 2, 3)
    assert small.min() > 100
    assert small.max() < 155


def test_normalise_and_pad() -> None:
    image = np.array([[[255, 0, 51]]], np.uint8)
    expected = (torch.tensor([1, 0, 0.2]) - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(normalise(torch.tensor(image))[:, 0, 0], expected)
    images = build_prepare(Data(size=64, longest=2))([IMAGE, IMAGE.transpose(1, 0, 2)])
    assert images.pixels.shape == (2, 3, 102, 102)
    assert (~images.padding).sum((1, 2)).tolist() == [64 * 102] * 2
    assert images.pixels[0, :, 64:].abs().sum() == 0


def test_prepare_has_the_papers_sizes_by_default() -> None:
    assert build_prepare(Data()) == Prepare(800, 1333)

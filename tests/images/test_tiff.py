"""TIFFs of every layout are right or refused by name; raw photos are never read as their thumbnails."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from condetr.errors import ImageError
from condetr.examining.inspection import inspect_header, inspect_pixels
from condetr.images.decode import image_size, open_image


def tiff(pixels: np.ndarray, photometric: int, *, order: str = "<", start: bytes = b"", **extra: int) -> bytes:
    """An uncompressed TIFF of one strip, written tag by tag (TIFF 6.0, section 2); `extra` maps t254=1 to tags."""
    height, width, bands = pixels.shape
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    bits = pixels.dtype.itemsize * 8
    tags = {256: [width], 257: [height], 258: [bits] * bands, 259: [1], 262: [photometric], 273: [0], 277: [bands],
            278: [height], 279: [pixels.nbytes], 339: [kind] * bands}  # fmt: skip
    tags |= {int(key[1:]): [value] for key, value in extra.items()}
    at = 8 + len(start)
    after = at + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    strip = after + sum(4 * len(value) for value in tags.values() if len(value) > 1)
    tags[273] = [strip]
    for tag, value in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(value)}I", *value)
        inline = packed if len(value) == 1 else struct.pack(f"{order}I", after + len(values))
        values += b"" if len(value) == 1 else packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(value)) + inline
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at) + start
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + directory + values + pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()


def ramp(dtype: str, bands: int, top: float) -> np.ndarray:
    grey = np.linspace(0, top, 40).astype(dtype)
    return np.ascontiguousarray(np.broadcast_to(grey[None, :, None], (30, 40, bands)))


@pytest.mark.parametrize(("dtype", "top", "order"), [("u1", 255, "<"), ("u1", 255, ">"), ("u2", 65535, "<")])
def test_grey_in_which_white_is_zero_is_inverted(dtype, top, order):
    dark_first = open_image(tiff(ramp(dtype, 1, top), 1, order=order))
    bright_first = open_image(tiff(ramp(dtype, 1, top), 0, order=order))
    assert (dark_first[0, 0, 0], dark_first[0, -1, 0]) == (0, 255)
    np.testing.assert_allclose(bright_first.astype(int), 255 - dark_first.astype(int), atol=1)


def test_unsigned_grey_of_32_bits_is_not_read_as_signed():
    pixels = open_image(tiff(ramp("u4", 1, 4e9), 1))
    assert (np.diff(pixels[0, :, 0].astype(int)) >= 0).all()
    assert (pixels[0, 0, 0], pixels[0, -1, 0]) == (0, 255)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_fourth_band_that_is_not_declared_as_opacity_is_left_out(dtype):
    top = np.iinfo(dtype).max
    pixels = np.concatenate([ramp(dtype, 3, top), np.zeros((30, 40, 1), dtype)], axis=2)
    expected = open_image(np.rint(ramp("f8", 3, 255)).astype(np.uint8))
    np.testing.assert_allclose(open_image(tiff(pixels, 2)).astype(int), expected.astype(int), atol=1)


def test_a_fourth_band_that_is_declared_as_opacity_is_opacity():
    file = io.BytesIO()
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(file, "TIFF")
    assert (open_image(file.getvalue()) == 255).all()


RAW = {
    "DNG": (tiff(ramp("u1", 3, 255), 2, t254=1, t50706=0x00000401), "raw photo (DNG)"),
    "DNG of full size": (tiff(ramp("u1", 3, 255), 2, t50706=0x00000401), "raw photo (DNG)"),
    "CR2": (tiff(ramp("u1", 3, 255), 2, start=b"CR\2\0\0\0\0\0"), "raw photo (CR2)"),
    "NEF": (tiff(ramp("u1", 3, 255), 2, order=">", t254=1), "starts with a thumbnail"),
    "old subfile": (tiff(ramp("u1", 3, 255), 2, t255=2), "starts with a thumbnail"),
}


@pytest.mark.parametrize("name", RAW)
def test_the_thumbnail_of_a_raw_photo_is_refused(name, tmp_path):
    content, text = RAW[name]
    for read in (open_image, image_size):
        with pytest.raises(ImageError, match=re.escape(text)):
            read(content)
    (tmp_path / "raw.tif").write_bytes(content)
    for inspect in (inspect_pixels, inspect_header):
        assert text in inspect(tmp_path / "raw.tif").problem


LAYOUTS = {
    "5 bands of 16-bit integers": tiff(ramp("u2", 5, 65535), 2, t338=0),
    "3 bands of 32-bit floats": tiff(ramp("f4", 3, 1), 2),
    "1 band of 64-bit floats": tiff(ramp("f8", 1, 1), 1),
    "2 bands of 16-bit integers": tiff(ramp("u2", 2, 65535), 1),
    r"1 band of 16-bit integers \(photometric 0": tiff(ramp("u2", 1, 65535), 0, order=">"),
    r"1 band of 32-bit integers \(photometric 0": tiff(ramp("u4", 1, 4e9), 0),
    "3 bands of 8-bit signed integers": tiff(ramp("i1", 3, 100), 2, order=">"),
}


def in_planes(dtype: str, bands: int, compress: bool) -> bytes:
    """A TIFF whose bands lie one after the other, each with the same ramp, in one strip each."""
    plane = ramp(dtype, 1, np.iinfo(dtype).max)
    strip = zlib.compress(plane.tobytes()) if compress else plane.tobytes()
    tags = {256: [40], 257: [30], 258: [plane.itemsize * 8] * bands, 259: [8 if compress else 1], 262: [2],
            273: [400 + i * len(strip) for i in range(bands)], 277: [bands], 278: [30], 279: [len(strip)] * bands,
            284: [2]}  # fmt: skip
    entries, values = b"", b""
    for tag, value in tags.items():
        packed = struct.pack(f"<{len(value)}I", *value)
        entries += struct.pack("<HHI", tag, 4, len(value))
        entries += packed if len(value) == 1 else struct.pack("<I", 200 + len(values))
        values += b"" if len(value) == 1 else packed
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return (head.ljust(200, b"\0") + values).ljust(400, b"\0") + strip * bands


@pytest.mark.parametrize(("dtype", "compress"), [("u1", False), ("u1", True), ("u2", True)])
def test_bands_one_after_the_other_are_read(dtype, compress):
    expected = open_image(np.rint(ramp("f8", 3, 255)).astype(np.uint8))
    np.testing.assert_allclose(open_image(in_planes(dtype, 3, compress)).astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize(
    ("dtype", "bands", "compress", "text"),
    [("<u2", 3, False, "3 bands of 16-bit integers"), ("<u2", 4, False, "4 bands of 16-bit integers"),
     ("u1", 4, True, "4 bands of 8-bit integers")],
)  # fmt: skip
def test_bands_one_after_the_other_that_pillow_reads_wrongly_are_refused(dtype, bands, compress, text):
    with pytest.raises(ImageError, match=f"a TIFF of {text}.*each band for itself.*Convert it"):
        open_image(in_planes(dtype, bands, compress))


@pytest.mark.parametrize("text", LAYOUTS)
def test_a_tiff_that_is_not_read_is_refused_by_its_layout(text):
    with pytest.raises(ImageError, match=f"a TIFF of {text}.*Convert it"):
        open_image(LAYOUTS[text])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"II*\0\x08" + bytes(9), "a broken TIFF"), (b"\xff\xd8\xff", "a broken JPEG"), (b"\x89PNG", "a broken PNG"),
        (b"RIFF\0\0\0\0WEBPxxxx", "a broken WebP"), (b"FUJIFILMCCD-RAW 0201", r"a raw photo \(RAF\)"),
        (b"\0\0\0\x18ftypcrx \0\0", r"a raw photo \(CR3\)"), (b"\0\0\0\x18ftypheic\0\0", "an HEIC image"),
        (b"\0" * 500, "zeros in place of an image"), (b"RIFF\0\0\0\0AVI LIST", "a video .AVI., not an image"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "what macOS notes about another file"),
        (b"%PDF-1.7", "a PDF, which is not read"), (b"8BPS\0\1", "a Photoshop file"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\x01text", "not an image of a known format"),
        (b'{"error": "403 Forbidden"}', r'not an image but a text file: {"error": "403'),
        (b"Not Found\n", "not an image but a text file: Not Found"),
        (b"\n\n<!DOCTYPE html>", "not an image but a text file"),
        (b"\xff\x4f\xff\x51\0", "a broken JPEG 2000"), (b"\0\0\0\x18ftypavif\0", "a broken AVIF"),
        (b"\0" * 128 + b"DICM\0", "a DICOM image"),
        (b"<?xml version='1.0'?><!-- drawn -->\n<svg>", "an SVG drawing"),
        (b"<?xml version='1.0'?><Error>", "not an image but an XML file: .*<Error>"),
        (b"%!PS-Adobe-3.0", "a PostScript file"),
        (b"\0\0\0\x18ftypisom\0", r"a video \(MP4\)"), (b"PK\3\4", "a ZIP archive"),
        (b"../store/my b1.JPG", "a link that was copied as a text file"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_read_is_named_by_its_first_bytes(content, text):
    with pytest.raises(ImageError, match=text):
        open_image(content)


def test_errors_of_the_system_are_not_called_broken_images(tmp_path):
    (tmp_path / "a.png").symlink_to("a.png")
    for path in (tmp_path / "a.png", tmp_path / ("x" * 300 + ".png")):
        with pytest.raises(ImageError, match=r"^cannot be read \((too many levels|file name too long)"):
            open_image(path)

"""Why Pillow does not open a file: the format by the file's first bytes, whether or not it is one that is read."""

import io
import re

from ..plural import counted
from .tiff import HEADS, layout

UNREADABLE = frozenset(
    {".heic", ".heif", ".hif", ".jxl", ".ico", ".icns", ".psd", ".tga", ".svg", ".eps", ".pdf", ".exr"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"}
)  # suffixes of images that are not read: where such a file can be meant, it is reported

_MOST_PARTS = 1000  # of a file that are looked at
_READ = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
)  # fmt: skip
_NOT_READ = (
    (b"FUJIFILMCCD-RAW", "a raw photo (RAF)"), (b"IIRO", "a raw photo (ORF)"), (b"IIRS", "a raw photo (ORF)"),
    (b"MMOR", "a raw photo (ORF)"), (b"IIU\0", "a raw photo (RW2)"), (b"FOVb", "a raw photo (X3F)"),
    (b"8BPS", "a Photoshop file"), (b"%PDF", "a PDF"), (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"), (b"v/1\x01", "an OpenEXR image"), (b"<svg", "an SVG drawing"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the image (run `git lfs pull`)"),
    (b"<!DOCTYPE", "a web page"), (b"<!doctype", "a web page"), (b"<html", "a web page"),
    (b"\0\0\1\0", "an icon (ICO)"), (b"\x93NUMPY", "a NumPy array"), (b"\x89HDF", "an HDF5 file"),
    (b"SIMPLE  =", "a FITS image"),
    (b"PK\3\4", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"\x1aE\xdf\xa3", "a video (Matroska, WebM)"), (b"gimp xcf", "a GIMP file"),
    (b"#?RADIANCE", "a Radiance HDR image"), (b"%!PS", "a PostScript file"), (b"DDS ", "a DDS texture"),
    (b"qoif", "a QOI image"), (b"BPG\xfb", "a BPG image"), (b"icns", "an icon (ICNS)"), (b"<?xml", "an XML file"),
)  # fmt: skip
_BOXED = {
    b"crx ": "a raw photo (CR3)", b"heic": "an HEIC image", b"heix": "an HEIC image", b"mif1": "an HEIF image",
    b"hevc": "an HEIC image", b"msf1": "an HEIF image", b"isom": "a video (MP4)", b"mp42": "a video (MP4)",
    b"mp41": "a video (MP4)", b"iso2": "a video (MP4)", b"qt  ": "a video (MOV)", b"M4V ": "a video (MP4)",
}  # fmt: skip


def reason(file: io.BufferedIOBase) -> str:
    """Why the file is not opened, for an ImageError."""
    file.seek(0)
    head = file.read(132)
    if head.startswith(HEADS):
        return layout(file)
    if head.startswith(b"\xff\xd8") and (kind := _kind_of_jpeg(file)):
        return kind
    for start, name in _READ:
        if head.startswith(start):
            return f"a broken {name} (its header cannot be read)"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a broken WebP (its header cannot be read)"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "a broken AVIF (its header cannot be read)"
    if re.fullmatch(rb"[^\0-\x1f]{1,128}\.(jpe?g|png|tiff?|bmp|webp)\s*", head, re.IGNORECASE):
        return "a link that was copied as a text file, not the image"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "a video (AVI), not an image"
    if head.startswith(b"\0\5\x16\7"):
        return "what macOS notes about another file, not the image"
    if len(head) > 16 and not head.strip(b"\0"):
        return "zeros in place of an image, as of a download that was interrupted"
    if head[128:] == b"DICM":
        return "a DICOM image, which is not read. Convert it to JPEG or PNG"
    kind = _BOXED.get(head[8:12]) if head[4:8] == b"ftyp" else None
    kind = kind or next((name for start, name in _NOT_READ if head.startswith(start)), None)
    if kind == "an XML file" and b"<svg" in head + file.read(4096):
        kind = "an SVG drawing"
    if kind == "an XML file" or (kind is None and _is_text(head)):
        return f"not an image but {kind or 'a text file'}: {_start(head)}"
    if kind is None:
        return "not an image of a known format (JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000, PNM)"
    if kind.startswith("a video"):
        return f"{kind}, not an image"
    if kind.endswith("archive"):
        return f"{kind}, which is not read. Unpack it and give the folder"
    return kind if "Git LFS" in kind or "web page" in kind else f"{kind}, which is not read. Convert it to JPEG or PNG"


def reason_of_failure(file: io.BufferedIOBase) -> str | None:
    """Why the pixels of a file that was opened are not decoded, if that can be told: decoders of WebP and JPEG 2000 do
    not say that a file is cut short."""
    file.seek(0)
    head = file.read(12)
    length = file.seek(0, io.SEEK_END)
    if head.startswith(b"\xff\xd8"):
        return _kind_of_jpeg(file)
    end = 0
    if head[:4] == b"RIFF":
        end = 8 + int.from_bytes(head[4:8], "little")
    elif head[4:8] in (b"jP  ", b"ftyp"):
        end = _end_of_boxes(file, length)
    return f"cut short ({counted(end - length, 'byte')} of {end:,} missing)" if end > length else None


def _end_of_boxes(file: io.BufferedIOBase, length: int) -> int:
    """Where the last box of a file ends (ISO/IEC 14496-12, section 4.2): length and name, then the content."""
    at = 0
    for _ in range(_MOST_PARTS):
        if at + 8 > length:
            break
        file.seek(at)
        size = int.from_bytes(file.read(8)[:4], "big")
        size = int.from_bytes(file.read(8), "big") if size == 1 else size
        if size < 8:  # 0 is up to the end
            return length
        at += size
    return at


def _kind_of_jpeg(file: io.BufferedIOBase) -> str | None:
    """What a JPEG is whose header says that it is not of the usual kinds (ITU-T T.81, section B.2.2)."""
    file.seek(2)
    for _ in range(_MOST_PARTS):
        head = file.read(9)
        if len(head) < 9 or head[0] != 0xFF:
            break
        if 0xC0 <= head[1] <= 0xCF and head[1] not in (0xC4, 0xC8, 0xCC):
            kind = f"of {head[4]} bits" if head[4] != 8 else "without loss" if head[1] & 3 == 3 else ""
            return f"a JPEG {kind}, which is not read. Convert it to PNG or to an ordinary JPEG" if kind else None
        file.seek(int.from_bytes(head[2:4], "big") - 7, io.SEEK_CUR)
    return None


def _is_text(head: bytes) -> bool:
    """Whether a file begins with words or with JSON, as a server's error does that was saved under an image's name."""
    return (
        re.match(rb"(\xef\xbb\xbf)?\s*[\w<{\[]", head) is not None
        and re.search(rb"[\0-\x08\x0e-\x1f\x7f-\xff]", head[3:]) is None
    )


def _start(head: bytes) -> str:
    text = " ".join(head.decode("utf-8", "replace").split())
    return text if len(text) <= 60 else text[:59] + "…"

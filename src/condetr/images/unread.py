"""Why Pillow does not open a file: the format by the file's first bytes, whether or not it is one that is read."""

import io

from .tiff import HEADS, layout

_READ = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"\0\0\0\x0cjP", "JPEG 2000"),
)  # fmt: skip
_NOT_READ = (
    (b"FUJIFILMCCD-RAW", "a raw photo (RAF)"), (b"IIRO", "a raw photo (ORF)"), (b"IIRS", "a raw photo (ORF)"),
    (b"MMOR", "a raw photo (ORF)"), (b"IIU\0", "a raw photo (RW2)"), (b"FOVb", "a raw photo (X3F)"),
    (b"8BPS", "a Photoshop file"), (b"%PDF", "a PDF"), (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"), (b"v/1\x01", "an OpenEXR image"), (b"<svg", "an SVG drawing"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the image (run `git lfs pull`)"),
    (b"<!DOCTYPE", "a web page"), (b"<html", "a web page"),
)  # fmt: skip
_BOXED = {
    b"crx ": "a raw photo (CR3)", b"heic": "an HEIC image", b"heix": "an HEIC image", b"mif1": "an HEIF image",
    b"hevc": "an HEIC image", b"msf1": "an HEIF image",
}  # fmt: skip


def reason(file: io.BufferedIOBase) -> str:
    """Why the file is not opened, for an ImageError."""
    file.seek(0)
    head = file.read(32)
    if head.startswith(HEADS):
        return layout(file)
    for start, name in _READ:
        if head.startswith(start):
            return f"a broken {name} (its header cannot be read)"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a broken WebP (its header cannot be read)"
    kind = _BOXED.get(head[8:12]) if head[4:8] == b"ftyp" else None
    kind = kind or next((name for start, name in _NOT_READ if head.startswith(start)), None)
    if kind is None:
        return "not an image of a known format (JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000, PNM)"
    return kind if "Git LFS" in kind or "web page" in kind else f"{kind}, which is not read. Convert it to JPEG or PNG"

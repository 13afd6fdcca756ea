"""Images behind http(s) addresses, with limits on size, time and redirects."""

import io
import time
from base64 import b64encode
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import ImageError
from ..videos.address import shown

MAX_BYTES = 256 * 2**20  # of one image from the web or standard input
TIME_LIMIT = 60.0  # seconds for a whole download
PAUSE_LIMIT = 20.0  # seconds without a byte
STREAM_TYPES = (
    "multipart/x-mixed-replace", "application/vnd.apple.mpegurl", "application/x-mpegurl", "application/dash+xml",
)  # fmt: skip


class _HttpOnly(HTTPRedirectHandler):
    """Follows a redirect only to another http(s) address, never to a file or another protocol."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        scheme = urlsplit(newurl).scheme.lower()
        if scheme not in ("http", "https"):
            raise ImageError(f"redirects to {scheme}, which is not fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(address: str) -> bytes:
    """The content of an http(s) address, at most MAX_BYTES within TIME_LIMIT. Raises ImageError with the reason."""
    until = time.monotonic() + TIME_LIMIT
    try:
        with build_opener(_HttpOnly).open(_request(address), timeout=PAUSE_LIMIT) as response:
            content = io.BytesIO()
            while block := response.read1(2**16):
                content.write(block)
                if content.tell() > MAX_BYTES:
                    raise ImageError(f"more than {MAX_BYTES:,} bytes")
                if time.monotonic() > until:
                    raise ImageError(f"not complete after {TIME_LIMIT:.0f} s")
            declared = response.headers.get("Content-Length")
            if declared and declared.isdigit() and int(declared) > content.tell():
                raise ImageError(f"cut short ({content.tell():,} of {declared} bytes)")
            return content.getvalue()
    except HTTPError as error:
        raise ImageError(" ".join(f"HTTP error {error.code} {error.reason}".split())) from None
    except URLError as error:
        raise ImageError(f"cannot be fetched ({shown(str(error.reason))})") from None
    except (OSError, HTTPException, ValueError) as error:
        raise ImageError(f"cannot be fetched ({shown(str(error)) or type(error).__name__})") from None


def is_video(address: str) -> bool:
    """Whether the server declares a video or a stream of images at an http(s) address. False on any error, which
    fetching the image then reports. An address with a password that the server rejects is left to the video library."""
    try:
        with build_opener(_HttpOnly).open(_request(address), timeout=PAUSE_LIMIT) as response:
            kind = response.headers.get_content_type()
    except HTTPError as error:
        return error.code == 401 and "@" in urlsplit(address).netloc
    except (ImageError, OSError, HTTPException, ValueError):
        return False
    return kind.startswith("video/") or kind in STREAM_TYPES


def _request(address: str) -> Request:
    """User name and password go into a header, which is not sent to the address of a redirect."""
    parts = urlsplit(quote(address, safe="%/:=&?~#+!$,;'@()*[]"))
    user, at, host = parts.netloc.rpartition("@")
    request = Request(urlunsplit(parts._replace(netloc=host)), headers={"User-Agent": "condetr"})
    if at:
        request.add_unredirected_header("Authorization", "Basic " + b64encode(unquote(user).encode()).decode())
    return request

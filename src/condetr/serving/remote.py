"""Images that a request names by address, from the hosts that whoever runs the server has allowed, and no others."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import CondetrError
from ..extras import imported
from ..videos.address import shown
from .incoming import Incoming
from .limits import Limits, Refused

if TYPE_CHECKING:
    import httpx2

COMMAND = "`condetr serve --allow-urls-from HOST`"
PORTS = {"http": 80, "https": 443}
MOST_REDIRECTS = 3
MOST_DOWNLOADS = 16  # at once, of all requests


def parse_host(word: str) -> tuple[str, int | None]:
    """The name, as it stands in an address, and the port of `name`, `name:port` or `[IPv6 address]:port`. Raises
    CondetrError."""
    httpx2 = imported("httpx2", "serve")
    try:
        parsed = httpx2.URL(f"http://{word}")
        port = int(word.rpartition(":")[2]) if parsed.port is not None or word.endswith(":80") else None
        if (
            not parsed.host
            or parsed.userinfo
            or any(c in word for c in "/?#@*\\ ")
            or port not in (None, *range(1, 65536))
        ):
            raise ValueError
    except (httpx2.InvalidURL, ValueError):
        example = "images.example.org or 10.0.0.5:8080"
        raise CondetrError(f"`allow_urls_from={word!r}`: not the name of a host. Give one such as {example}") from None
    return parsed.raw_host.decode(), port


class Remote:
    """Fetches images within the limits on bytes and time. No proxy of the environment is used."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._hosts = frozenset(map(parse_host, limits.allow_urls_from))
        self._tls = ssl.create_default_context() if self._hosts else None
        self._downloads = asyncio.Semaphore(MOST_DOWNLOADS)

    def check(self, address: str) -> None:
        """Raises Refused for an address from which nothing is fetched."""
        self._parsed(address)

    async def images(self, addresses: Sequence[str], receive: Callable[[int], None]) -> list[Incoming]:
        """The images at addresses; `receive` is called with the number of bytes that have arrived. Raises Refused."""
        httpx2 = imported("httpx2", "serve")
        async with httpx2.AsyncClient(verify=self._tls, trust_env=False, timeout=self._limits.seconds) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._image(client, one, receive)) for one in addresses]
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _image(self, client: "httpx2.AsyncClient", address: str, receive: Callable[[int], None]) -> Incoming:
        httpx2 = imported("httpx2", "serve")
        url = self._parsed(address)
        async with self._downloads:
            for _ in range(1 + MOST_REDIRECTS):
                try:
                    async with client.stream("GET", url, headers=_HEADERS) as response:
                        if not response.has_redirect_location:
                            return Incoming(await _content(response, receive), shown(address))
                        url = self._parsed(str(response.url.join(response.headers["location"])))
                except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
                    raise Refused(502, f"url: {url.host}: cannot be fetched ({type(error).__name__})") from None
        raise Refused(502, f"url: {url.host}: more than {MOST_REDIRECTS} redirects")

    def _parsed(self, address: str) -> "httpx2.URL":
        """Raises Refused for an address that is not allowed, also one that a redirect leads to."""
        if not self._hosts:
            raise Refused(403, f"url: this server fetches no URLs; {COMMAND} allows those of a host")
        httpx2 = imported("httpx2", "serve")
        try:
            url = httpx2.URL(address)
        except (httpx2.InvalidURL, ValueError):
            raise Refused(400, "url: not a valid URL") from None
        if url.scheme not in PORTS or url.userinfo or not url.host:
            raise Refused(403, "url: only http and https URLs without user name are fetched")
        name, port = url.raw_host.decode(), url.port or PORTS[url.scheme]
        usual = port == PORTS[url.scheme] and (name, None) in self._hosts
        if not usual and (name, port) not in self._hosts:
            where = "".join(c for c in f"{url.host}:{port}" if c.isprintable())[:100]
            raise Refused(403, f"url: {where} is not among the hosts of {COMMAND}")
        return url


_HEADERS = {"User-Agent": "condetr", "Accept-Encoding": "identity"}


async def _content(response: "httpx2.Response", receive: Callable[[int], None]) -> bytes:
    """The body as it is sent. Raises Refused for a status other than 200, and for one that is compressed: a small one
    could become a large one."""
    host = response.url.host
    if response.status_code != 200:
        raise Refused(502, f"url: {host}: HTTP status {response.status_code}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(502, f"url: {host}: a compressed response, which is not read")
    content = bytearray()
    async for chunk in response.aiter_raw():
        receive(len(chunk))
        content += chunk
    return bytes(content)

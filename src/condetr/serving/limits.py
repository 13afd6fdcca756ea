"""What a server accepts of its clients: bytes, pixels, images, time, and how much of it at once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

MEBIBYTE = 1 << 20


class Refused(Exception):
    """A request that is answered with an HTTP status and one line, which the client sees."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, dict(headers or {})


class ClientGone(Exception):
    """The client has closed its connection: nobody waits for the response."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`bytes` and `images` of one request, `pixels` of one image before it is scaled, `queue` images of all requests
    that wait or are predicted, `seconds` for a client to send a request, and again for its prediction. From
    the hosts of `allow_urls_from` (`name` or `name:port`) images are fetched that a request names by address."""

    bytes: int = 32 * MEBIBYTE
    pixels: int = 25_000_000
    images: int = 16
    queue: int = 64
    seconds: float = 30.0
    allow_urls_from: tuple[str, ...] = ()

    @property
    def bytes_at_once(self) -> int:
        """Of all requests that are received or wait: a client cannot fill the memory with bodies."""
        return 4 * self.bytes


@dataclass(slots=True)
class Admission:
    """Counts what has been accepted, and refuses what exceeds the limits. Used from the event loop only."""

    limits: Limits
    seconds_per_image: float = 0.0  # a moving average, from which clients learn when to try again
    images: int = field(default=0, init=False)
    bytes: int = field(default=0, init=False)

    def check_room(self) -> None:
        """Raises Refused where the queue is full, before anything of the request has been read."""
        if self.images >= self.limits.queue:
            raise self._full("the queue is full")

    @contextmanager
    def queued(self, images: int) -> Iterator[None]:
        """A place in the queue for each image of a request. Raises Refused where there are too few."""
        if self.images + images > self.limits.queue:
            raise self._full("the queue is full")
        self.images += images
        try:
            yield
        finally:
            self.images -= images

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """A function that counts the bytes of a request as they arrive; at the end they are given back. It raises
        Refused where the request is too large, or too many bytes are held already."""
        held = 0

        def receive(size: int) -> None:
            nonlocal held
            if held + size > self.limits.bytes:
                raise self.too_large()
            if self.bytes + size > self.limits.bytes_at_once:
                raise self._full("too many requests are being received")
            held += size
            self.bytes += size

        try:
            yield receive
        finally:
            self.bytes -= held

    def too_large(self) -> Refused:
        return Refused(413, f"the request is larger than {self.limits.bytes / MEBIBYTE:g} megabytes")

    def predicted(self, seconds: float) -> None:
        """Record how long an image took, divided by the number of images that are predicted at the same time."""
        self.seconds_per_image = 0.9 * self.seconds_per_image + 0.1 * seconds if self.seconds_per_image else seconds

    def _full(self, reason: str) -> Refused:
        seconds = min(60, max(1, round(self.images * self.seconds_per_image)))
        return Refused(429, f"{reason}; try again in {seconds} s", {"Retry-After": str(seconds)})

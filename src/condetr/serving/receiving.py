"""How a request arrives: its body, or the images at the addresses that it names, within the limits."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from ..plural import counted
from .incoming import Incoming, accepted, images_of, is_form
from .limits import Admission, ClientGone, Limits, Refused
from .remote import Remote

T = TypeVar("T")


@dataclass(slots=True)
class Body:
    """The bytes of a request until they are taken, so that they are not kept beside what is parsed from them."""

    content: bytes

    def take(self) -> bytes:
        content, self.content = self.content, b""
        return content


class Receiver:
    """Bodies are parsed in one thread, one after the other: parsed, they can take several times their bytes."""

    def __init__(self, limits: Limits, admission: Admission) -> None:
        self._limits, self._admission, self._remote = limits, admission, Remote(limits)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="condetr-parse")

    def close(self) -> None:
        self._thread.shutdown()

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[Body]:
        """The whole body. Raises Refused where it is too large or slow, ClientGone where the connection is closed."""
        with self._admission.holding() as receive:
            yield Body(await self._content(request, receive))

    @asynccontextmanager
    async def images(self, request: Request, addresses: Sequence[str], most: int) -> AsyncIterator[list[Incoming]]:
        """The images in the body, or at `addresses`; at least one. Raises Refused and ClientGone."""
        content_type = accepted(request.headers.get("content-type", ""))
        for address in addresses:
            self._remote.check(address)
        if len(addresses) > most:
            raise Refused(413, f"more than {counted(most, 'image')} in one request")
        with self._admission.holding() as receive:
            body = Body(await self._content(request, receive))
            if not addresses and not is_form(content_type):
                yield images_of(body.take(), content_type, most)
            elif not addresses:
                yield await self.parsed(images_of, body.take(), content_type, most)
            elif body.content:
                raise Refused(400, "url: leave the body of the request empty")
            else:
                fetched = self._remote.images(addresses, receive)
                try:
                    yield await unless_gone(request, fetched, self._limits.seconds)
                except TimeoutError:
                    raise Refused(504, f"url: not complete within {self._limits.seconds:g} s") from None

    async def parsed(self, parse: Callable[..., T], *arguments: Any) -> T:
        """The result of a function that would hold up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, parse, *arguments)

    async def _content(self, request: Request, receive: Callable[[int], None]) -> bytes:
        self._admission.check_room()
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "Content-Encoding: not supported; send the body uncompressed")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._limits.bytes:
            raise self._admission.too_large()
        content = io.BytesIO()  # its value is no copy
        try:
            async with asyncio.timeout(self._limits.seconds):
                async for chunk in request.stream():
                    receive(len(chunk))
                    content.write(chunk)
        except TimeoutError:
            raise Refused(408, f"the body did not arrive within {self._limits.seconds:g} s") from None
        except ClientDisconnect:
            raise ClientGone from None
        return content.getvalue()


async def unless_gone(request: Request, work: Awaitable[T], seconds: float) -> T:
    """The result, unless the client leaves (ClientGone) or the time is over (TimeoutError): the work is then
    cancelled."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return await task
        raise ClientGone if gone.done() else TimeoutError
    finally:
        for one in (task, gone):
            one.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await one


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

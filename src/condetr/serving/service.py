"""What the routes share: models, queue, decoding threads, metrics; and the way of images from bytes to detections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from os import cpu_count
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from ..detections import Detections
from ..errors import CondetrError
from ..predicting.batching import Scaled
from ..predicting.selection import Selection
from .batcher import Batcher
from .incoming import Decoder, Incoming
from .limits import Admission, ClientGone, Limits, Refused
from .metrics import Metrics
from .models import Model

Key = tuple[str, int | None]  # the name of a model, and how many detections are decoded
T = TypeVar("T")


class Service:
    """`max_wait` is in seconds. Made in the event loop; `close` finishes what was accepted."""

    def __init__(self, models: Sequence[Model], limits: Limits, max_batch: int, max_wait: float) -> None:
        self.models = {model.name: model for model in models}
        self.limits = limits
        self.admission = Admission(limits)
        self.metrics = Metrics(lambda: self.admission.images, lambda: self.admission.bytes)
        self._decoder = Decoder(limits)
        threads = max(2, min(4, cpu_count() or 1))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="condetr-decode")
        self._ahead = asyncio.Semaphore(4 * max_batch + threads)  # images that are decoded and not yet predicted
        self._loop = asyncio.get_running_loop()
        self._batcher: Batcher[Key, Scaled, Detections] = Batcher(
            run=lambda key, scaled: self.models[key[0]].detect(key[1], scaled),
            choose=lambda key, scaled: self.models[key[0]].choose(scaled, max_batch),
            size=lambda key: self.models[key[0]].batch(max_batch),
            max_wait=max_wait,
            observe=self._observe,
        )

    @property
    def ready(self) -> bool:
        return self._batcher.alive

    def close(self) -> None:
        self._batcher.close()
        self._threads.shutdown()

    def model(self, name: str | None) -> Model:
        """The model of this name, or the first one. Raises Refused where there is none."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refused(404, f"no such model; the models are {', '.join(self.models)}")
        return self.models[name]

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body. Raises Refused where it is too large or too slow, ClientGone where its client has left."""
        self.admission.check_room()
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "Content-Encoding: not supported; send the body uncompressed")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self.limits.bytes:
            raise self._too_large()
        content = bytearray()
        try:
            try:
                async with asyncio.timeout(self.limits.seconds):
                    async for chunk in request.stream():
                        if len(content) + len(chunk) > self.limits.bytes:
                            raise self._too_large()
                        self.admission.receive(len(chunk))
                        content += chunk
            except TimeoutError:
                raise Refused(408, f"the body did not arrive within {self.limits.seconds:g} s") from None
            except ClientDisconnect:
                raise ClientGone from None
            yield bytes(content)
        finally:
            self.admission.release(len(content))

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function that would hold up the event loop."""
        return await self._loop.run_in_executor(self._threads, function, *arguments)

    async def detect(
        self, request: Request, model: Model, images: Sequence[Incoming], selection: Selection
    ) -> list[Detections]:
        """The detections of each image. Raises Refused, and ClientGone after it has dropped the images."""
        if len(images) > self.limits.images:
            raise Refused(413, f"more than {self.limits.images} images in one request")
        with self.admission.queued(len(images)):
            try:
                return await self._unless_gone(request, self._detect_all(model, images, selection))
            except ClientGone:
                self.metrics.drop(len(images))
                raise
            except TimeoutError:
                self.metrics.drop(len(images))
                raise Refused(503, "the prediction took too long; try again later", {"Retry-After": "1"}) from None

    async def _detect_all(self, model: Model, images: Sequence[Incoming], selection: Selection) -> list[Detections]:
        """Where one image is refused, the work on the others is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                numbered = enumerate(images, 1)
                tasks = [group.create_task(self._detect(model, one, number, selection)) for number, one in numbered]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _detect(self, model: Model, image: Incoming, number: int, selection: Selection) -> Detections:
        async with self._ahead:
            scaled = await self.in_thread(self._decoder, image, number, model.predictor.prepare)
            try:
                key = (model.name, selection.limit)
                return selection(await asyncio.wrap_future(self._batcher.submit(key, scaled)))
            except CondetrError:
                raise Refused(503, "out of memory; send smaller images or try again later") from None

    async def _unless_gone(self, request: Request, work: Awaitable[T]) -> T:
        """The result, unless the client leaves (ClientGone) or the time is over (TimeoutError): the work is then
        cancelled."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({task, gone}, timeout=self.limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await task
            raise ClientGone if gone.done() else TimeoutError
        finally:
            for one in (task, gone):
                one.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await one

    def _observe(self, key: Key, images: int, seconds: float) -> None:
        self.metrics.batch(key[0], images, seconds)
        with suppress(RuntimeError):  # the loop is closed at the end
            self._loop.call_soon_threadsafe(self.admission.predicted, seconds / images)

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is larger than {self.limits.bytes} bytes")


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

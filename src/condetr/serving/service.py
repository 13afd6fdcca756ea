"""What the routes share: models, queue, decoding threads, metrics; and the way of images to their detections."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import Any, TypeVar

from starlette.requests import Request

from ..detections import Detections
from ..engine.processors import cores
from ..errors import CondetrError
from ..explaining.query_values import Which
from ..plural import counted
from ..predicting.batching import Scaled
from ..predicting.selection import Selection, Threshold
from .batcher import Batcher
from .incoming import Decoder, Incoming
from .limits import Admission, ClientGone, Limits, Refused
from .metrics import Metrics
from .models import Model
from .receiving import Receiver, unless_gone
from .work import Detecting, Explaining, Question, Work

T = TypeVar("T")
GPU_FAILED = ("CUDA error", "HIP error")  # also the next computations on the GPU fail, until the process is restarted


class Service:
    """`max_wait` is in seconds. `parallel` batches are predicted at the same time. Created in the event loop; `close`
    finishes what was accepted."""

    def __init__(self, models: Sequence[Model], limits: Limits, max_batch: int, max_wait: float, parallel: int) -> None:
        self.models = {model.name: model for model in models}
        self.limits = limits
        self.admission = Admission(limits)
        self.metrics = Metrics(lambda: self.admission.images, lambda: self.admission.bytes)
        self.receiver = Receiver(limits, self.admission)
        self._decoder = Decoder(limits)
        threads = max(2, min(4, cores()))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="condetr-decode")
        self._ahead = asyncio.Semaphore(4 * max_batch * parallel + threads)  # decoded images that are not yet predicted
        self._loop = asyncio.get_running_loop()
        self._gpu_failed = False
        self._parallel, self._explaining = parallel, threading.Lock()
        self._batcher: Batcher[Work, Any, Any] = Batcher(
            run=self._run,
            choose=lambda work, items: work.choose(items, max_batch),
            size=lambda work: work.size(max_batch),
            max_wait=max_wait,
            observe=self._observe,
            threads=parallel,
        )

    @property
    def ready(self) -> bool:
        return self._batcher.alive and not self._gpu_failed

    @property
    def live(self) -> bool:
        """False where only a new process helps: the model's thread has ended, or the GPU has failed."""
        return not (self._batcher.broken or self._gpu_failed)

    def close(self) -> None:
        self._batcher.close()
        self._threads.shutdown()
        self.receiver.close()

    def model(self, name: str | None) -> Model:
        """The model of this name, or the first one. Raises Refused where there is none."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refused(404, f"no such model; the models are {', '.join(self.models)}")
        return self.models[name]

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function that would hold up the event loop."""
        return await self._loop.run_in_executor(self._threads, function, *arguments)

    async def detect(
        self, request: Request, model: Model, images: Sequence[Incoming], selection: Selection
    ) -> list[Detections]:
        """The detections of each image. Raises Refused, and ClientGone after it has dropped the images."""
        if len(images) > self.limits.images:
            raise Refused(413, f"more than {counted(self.limits.images, 'image')} in one request")
        return await self._queued(request, len(images), self._detect_all(model, images, selection))

    async def explain(
        self, request: Request, model: Model, image: Incoming, which: Which, threshold: Threshold
    ) -> dict[str, Any]:
        """The values of `query_values`. Raises Refused, and ClientGone after it has dropped the image."""
        work = self._work(Explaining(model), image, 1, lambda scaled: Question(scaled, which, threshold))
        return await self._queued(request, 1, work)

    async def _queued(self, request: Request, images: int, work: Coroutine[Any, Any, T]) -> T:
        """The result of work on images that have a place in the queue."""
        try:
            with self.admission.queued(images):
                return await unless_gone(request, work, self.limits.seconds)
        except ClientGone:
            self.metrics.drop(images)
            raise
        except TimeoutError:
            self.metrics.drop(images)
            raise Refused(503, "the prediction took too long; try again later", {"Retry-After": "1"}) from None
        finally:
            work.close()  # where the queue is full, it was never started

    async def _detect_all(self, model: Model, images: Sequence[Incoming], selection: Selection) -> list[Detections]:
        """Where one image is refused, the work on the others is cancelled."""
        if len(images) == 1:
            return [await self._detect(model, images[0], 1, selection)]
        try:
            async with asyncio.TaskGroup() as group:
                numbered = enumerate(images, 1)
                tasks = [group.create_task(self._detect(model, one, number, selection)) for number, one in numbered]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _detect(self, model: Model, image: Incoming, number: int, selection: Selection) -> Detections:
        return selection(await self._work(Detecting(model, selection.limit), image, number, lambda scaled: scaled))

    async def _work(self, work: Work, image: Incoming, number: int, item: Callable[[Scaled], Any]) -> Any:
        """The result for an image; `item` makes of the scaled image what the work takes."""
        async with self._ahead:
            scaled = await self.in_thread(self._decoder, image, number, work.model.predictor.scale)
            try:
                return await asyncio.wrap_future(self._batcher.submit(work, item(scaled)))
            except CondetrError:
                raise Refused(503, "out of memory; send smaller images or try again later") from None

    def _run(self, work: Work, items: list[Any]) -> Sequence[Any]:
        try:
            with self._explaining if isinstance(work, Explaining) else nullcontext():  # hooks record one at a time
                return work.run(items)
        except RuntimeError as error:
            self._gpu_failed |= str(error).startswith(GPU_FAILED)
            raise

    def _observe(self, work: Work, images: int, seconds: float) -> None:
        if isinstance(work, Explaining):
            self.metrics.explanation(work.model.name)
        else:
            self.metrics.batch(work.model.name, images, seconds)
        with suppress(RuntimeError):  # the loop is closed at the end
            self._loop.call_soon_threadsafe(self.admission.predicted, seconds / images / self._parallel)


def service_of(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service

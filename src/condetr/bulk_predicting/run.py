"""Shards go to workers, and their rows to files, which only the process that holds the folder's lock writes."""

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Queue

from ..files import write_bytes
from .images import Image
from .plan import Plan, Shard
from .rows import Counts, counted, encoded, joined, table
from .workers import Worker, WorkerDied

DEATHS = 3  # of a worker with the same shard or image, after which the images are tried alone, or the image is given up
DIED = f"the process that predicted this image ended without an error message, {DEATHS} times"

Finished = Callable[[int, Counts], None]  # the number of a shard and what it holds


def run(plan: Plan, shards: Iterator[Shard], workers: Sequence[Worker], finished: Finished) -> None:
    """Predict the shards and write their files; `finished` is called for each. Workers are stopped at the end.

    Each worker has one shard at a time, and keeps it until it is finished. Raises what a worker raises. After that, or
    after Ctrl-C, there are files of the finished shards and no others.
    """
    done: Queue[tuple[int, bytes] | BaseException | None] = Queue(2 * len(workers))
    lock, stopping = threading.Lock(), threading.Event()

    def next_shard() -> Shard | None:
        with lock:
            return None if stopping.is_set() else next(shards, None)

    def work(worker: Worker) -> None:
        try:
            while (shard := next_shard()) is not None:
                done.put((shard.number, predicted(worker, shard.images)))
            done.put(None)
        except BaseException as error:  # raised in the main thread
            done.put(error)

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        working = len(threads)
        while working:
            one = done.get()
            if one is None:
                working -= 1
            elif isinstance(one, BaseException):
                raise one
            else:
                number, content = one
                counts = counted(content)
                assert counts is not None
                assert counts.rows == plan.size_of(number), "a worker returned other rows"
                write_bytes(plan.file(number), content)
                finished(number, counts)
    finally:
        stopping.set()
        for worker in workers:
            worker.close()


def predicted(worker: Worker, images: Sequence[Image]) -> bytes:
    """The rows of the images, as one Parquet file. An image with which its worker always dies gets a row with an error.

    Raises WorkerDied if the worker is closed.
    """
    for _ in range(DEATHS):
        try:
            return worker.predict(images)
        except WorkerDied:
            worker.stop()
            if worker.closed:
                raise
    if len(images) == 1:
        return encoded(table(images, [DIED]))
    return joined(predicted(worker, [image]) for image in images)

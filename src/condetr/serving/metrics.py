"""Counters, gauges and histograms of a server in Prometheus' text format (version 0.0.4)."""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

Labels = tuple[tuple[str, str], ...]


class Counter:
    kind = "counter"

    def __init__(self) -> None:
        self._values: dict[Labels, float] = defaultdict(float)

    def add(self, amount: float = 1.0, **labels: str) -> None:
        self._values[tuple(labels.items())] += amount

    def lines(self, name: str) -> list[str]:
        return [f"{name}{_labels(labels)} {_number(value)}" for labels, value in list(self._values.items())] or [
            f"{name} 0"
        ]


class Gauge:
    """A value that is read when the metrics are."""

    kind = "gauge"

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read

    def lines(self, name: str) -> list[str]:
        return [f"{name} {_number(self._read())}"]


class Histogram:
    kind = "histogram"

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> list[str]:
        lines, total = [], 0
        for bound, count in zip((*map("{:g}".format, self._bounds), "+Inf"), list(self._counts)):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {_number(self._sum)}", f"{name}_count {total}"]


class Metrics:
    """All that a server counts. The methods may be called from any thread."""

    def __init__(self, queued: Callable[[], float], received: Callable[[], float]) -> None:
        self._lock = threading.Lock()
        self.requests, self.images, self.dropped, self.explanations = Counter(), Counter(), Counter(), Counter()
        self.batches, self.seconds, self.model_seconds = Histogram(SIZES), Histogram(SECONDS), Histogram(SECONDS)
        self._all: tuple[tuple[str, str, Counter | Gauge | Histogram], ...] = (
            ("condetr_requests_total", "Requests by route and HTTP status; 499: the client was gone.", self.requests),
            ("condetr_request_seconds", "Time from a request's header to its response.", self.seconds),
            ("condetr_images_total", "Images that the model has predicted.", self.images),
            ("condetr_dropped_images_total", "Images whose client was gone before they were predicted.", self.dropped),
            ("condetr_explanations_total", "Images of which a query was explained.", self.explanations),
            ("condetr_batch_images", "Images in a batch.", self.batches),
            ("condetr_batch_seconds", "Time of a batch in the model.", self.model_seconds),
            ("condetr_queue_images", "Images that wait or are predicted.", Gauge(queued)),
            ("condetr_held_bytes", "Bytes of request bodies in memory.", Gauge(received)),
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        with self._lock:
            self.requests.add(route=route, status=str(status))
            self.seconds.add(seconds)

    def batch(self, model: str, images: int, seconds: float) -> None:
        with self._lock:
            self.images.add(float(images), model=model)
            self.batches.add(float(images))
            self.model_seconds.add(seconds)

    def explanation(self, model: str) -> None:
        with self._lock:
            self.explanations.add(model=model)

    def drop(self, images: int) -> None:
        with self._lock:
            self.dropped.add(float(images))

    def text(self) -> str:
        with self._lock:
            lines = [
                line
                for name, help, metric in self._all
                for line in (f"# HELP {name} {help}", f"# TYPE {name} {metric.kind}", *metric.lines(name))
            ]
        return "\n".join(lines) + "\n"


def _number(value: float | int) -> str:
    """All digits: a rounded counter seems to stand still, and then to jump."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def _labels(labels: Labels) -> str:
    escaped = ((key, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, value in labels)
    inside = ",".join(f'{key}="{value}"' for key, value in escaped)
    return f"{{{inside}}}" if inside else ""

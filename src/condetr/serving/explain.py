"""`POST /explain`: what a query of the detector attends to in an image, and what is near a point of it."""

import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..explaining.query_values import Which
from . import options
from .limits import Refused
from .service import service_of

NAMES = ("model", "url", "threshold", "detection", "at", "query")
MOST_DIGITS = 6  # of a number


async def explain(request: Request) -> Response:
    started = time.monotonic()
    service = service_of(request)
    query = options.of_query(request.query_params, *NAMES)
    model = service.model(query.get("model"))
    if not model.attention:
        raise Refused(400, f"{model.name}: an exported file returns detections only, no attention maps")
    which, threshold = _which(query), options.threshold(model, query.get("threshold"))
    async with service.receiver.images(request, query.get("url", ()), 1) as images:
        values = await service.explain(request, model, images[0], which, threshold)
    return JSONResponse(
        {"model": {"name": model.name, "hash": model.hash}, "time": time.monotonic() - started, **values}
    )


def _which(query: Mapping[str, str]) -> Which:
    if sum(name in query for name in ("detection", "at", "query")) > 1:
        raise Refused(400, "give one of detection, at and query")
    if "at" in query:
        try:
            x, y = (float(number) for number in query["at"].split(","))
        except ValueError:
            raise Refused(400, "at: must be X,Y in pixels of the image") from None
        return Which(at=(x, y))
    if "query" in query:
        return Which(query=_number("query", query["query"]))
    return Which(detection=_number("detection", query.get("detection", "0")))


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise Refused(400, f"{name}: must be a whole number from 0")
    return int(text)

"""Which detections a client requests: threshold, classes and their number, from a query or from JSON."""

import math
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import QueryParams

from ..errors import CondetrError
from ..predicting.selection import Selection, Threshold, parse_threshold
from .limits import Refused
from .models import Model

MOST_DETECTIONS = 10_000
NAMES = ("threshold", "classes", "max_detections")


def of_query(query: QueryParams, *known: str) -> dict[str, Any]:
    """The options in a query; `url` may be repeated, and `classes` too, or hold names separated by commas.

    Raises Refused for a name that is unknown or given twice."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(query):
        values = query.getlist(name)
        if name not in known:
            raise Refused(400, f"the query has an unknown parameter; known are {', '.join(known)}")
        if name == "classes":
            found[name] = [word.strip() for value in values for word in value.split(",")]
        elif name == "url":
            found[name] = values
        elif len(values) > 1:
            raise Refused(400, f"{name}: given twice")
        else:
            found[name] = values[0]
    return found


def selection(model: Model, options: Mapping[str, Any]) -> Selection:
    """What the options select; their values are those of `Predictor`. Raises Refused."""
    classes = options.get("classes")
    if isinstance(classes, str):
        classes = [word.strip() for word in classes.split(",")]
    if classes is not None and not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise Refused(400, "classes: must be names")
    least = threshold(model, options.get("threshold"))
    try:
        return model.predictor.selection(least, classes, _most(model, options.get("max_detections")))
    except CondetrError as error:
        raise _refused(error) from None


def threshold(model: Model, given: Any) -> Threshold:
    """The threshold; its values are those of `Predictor`. Raises Refused."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise Refused(400, "threshold: must be a number between 0 and 1, or best")
    try:
        found = parse_threshold(str(given))
        model.predictor.min_score(found)
        return found
    except CondetrError as error:
        raise _refused(error) from None


def most_detections(model: Model) -> int:
    """The most that a client can ask for."""
    predictor = model.predictor
    return MOST_DETECTIONS if predictor.tiling is not None else predictor.runtime.most or MOST_DETECTIONS


def _refused(error: CondetrError) -> Refused:
    return Refused(400, "".join(c if c.isprintable() else "?" for c in str(error))[:300])


def _most(model: Model, given: Any) -> int | None:
    limit = most_detections(model)
    if given is None:
        return None
    text = str(given)
    if isinstance(given, bool) or not text.isascii() or not text.isdecimal() or len(text) > 9:
        number = math.nan
    else:
        number = int(text)
    if not 1 <= number <= limit:
        raise Refused(400, f"max_detections: must be a whole number from 1 to {limit}")
    return int(number)

"""A request's target in absolute form (`GET http://host/predict`; RFC 9112, section 3.2.2) is a path and a host."""

import re
from urllib.parse import unquote

from starlette.types import Scope

from .limits import Refused

_ABSOLUTE = re.compile(rb"[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)
_AUTHORITY = re.compile(rb"(\[[0-9a-f:.]+\]|[^\[\]@:]+)(:[0-9]*)?", re.IGNORECASE)


def in_origin_form(scope: Scope) -> Scope:
    """The scope of the same request with the path alone as its target. The host of the target replaces that of the
    header, as the RFC demands. Raises Refused for the address of another scheme, and for one without a valid host."""
    target: bytes = scope["raw_path"]
    start = _ABSOLUTE.match(target)
    if start is None:
        return scope
    scheme, _, host = start[0].partition(b"://")
    if scheme.lower() != b"http":
        raise Refused(400, "the target of the request: not an address of http. Send the path alone")
    if not _AUTHORITY.fullmatch(host):
        raise Refused(400, "the target of the request: not a valid host. Send the path alone")
    raw_path = target[start.end() :] or b"/"
    headers = [(b"host", host), *((name, value) for name, value in scope["headers"] if name != b"host")]
    return {**scope, "raw_path": raw_path, "path": unquote(raw_path.decode("ascii")), "headers": headers}

"""Addresses as they may be shown: without user name, password, and the values of secrets in the query."""

import re
from pathlib import PurePosixPath
from urllib.parse import unquote

HIDDEN = "***"
_SECRET = re.compile(
    r"(?P<key>(?:^|[?&;/_])[\w.-]*(?:pas|pwd|pw|token|secret|key|auth|sig|cred|user|usr|login)[\w.-]*=)"
    r"[^&#\s]*?(?=[&#\s]|_[a-z]+=|$)",
    re.IGNORECASE,
)


def shown(text: str) -> str:
    """An address, or text that may hold one, as it may be printed, logged, or used as a name.

    `rtsp://me:pw@cam/1?token=abc` becomes `rtsp://***@cam/1?token=***`. A password may hold any character.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    return scheme + separator + _SECRET.sub(rf"\g<key>{HIDDEN}", _without_user(scheme, rest))


def _without_user(scheme: str, rest: str) -> str:
    """The part after `://` without its user. An `@` in the path of a web address is kept if nothing before it can be a
    user name."""
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    port = authority.rpartition(":")[2] if ":" in authority and not authority.endswith("]") else ""
    harmless = scheme.lower().endswith(("http", "https")) and "@" not in authority and re.fullmatch(r"\d*", port)
    return rest if "@" not in rest or harmless else f"{HIDDEN}@{rest.rpartition('@')[2]}"


def file_stem(address: str) -> str:
    """A name for files: the host and the last part of the path, `cam.local-stream1`."""
    rest = shown(address).partition("://")[2].partition("?")[0].partition("#")[0]
    host, _, path = rest.removeprefix(f"{HIDDEN}@").partition("/")
    last = PurePosixPath(unquote(path)).stem
    return "-".join(part for part in (host.replace(":", "-"), last if "=" not in last else "") if part) or "stream"

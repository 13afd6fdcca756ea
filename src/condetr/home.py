"""The user's home folder: paths that begin with `~`, and where caches are."""

import os
from pathlib import Path


def with_home(path: str | Path) -> Path:
    """The path with the home folder in place of `~` or `~name` at its beginning, which a shell leaves in `--out=~/x`
    and in a quoted glob; unchanged where there is none, or where a file of that name exists here."""
    path = Path(path)
    try:
        return path if not str(path).startswith("~") or path.exists() else path.expanduser()
    except (OSError, RuntimeError, ValueError):  # no such user, or no name that one can have
        return path


def text_with_home(name: str) -> str:
    """As `with_home`, for text that may also be a URL or the name of a repository."""
    return str(with_home(name)) if name.startswith("~") else name


def cache_folder(name: str) -> Path | None:
    """The user's folder for a cache of this name; None where there is no home folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "condetr" / name
    except RuntimeError:  # HOME is not set and the user has no entry in the password database
        return None

"""Errors that a user can correct. Each message is one line: what is wrong, where, and how to fix it."""

from collections.abc import Mapping
from typing import Any


class CondetrError(Exception):
    """An error that the user can correct. The command line prints its message without a traceback, and exits with
    `status`."""

    status = 1
    silent = False  # True where another process of the same run reports the same error


class SignalError(CondetrError):
    """A signal ended the work early, after it was saved; `status` is the exit status of a killed process."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number, self.status = number, 128 + number

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.number)


class WeightsError(CondetrError):
    """Weights that cannot be used: missing, incomplete, of another shape, or of an unknown format."""


class ConfigError(CondetrError, ValueError):
    """A setting that does not exist or has an invalid value.

    Where the error is about one setting, `setting` is its dotted path and `value` what was given, as text. `reason` is
    the message without them, and `source` the file that the setting comes from.
    """

    def __init__(
        self, reason: str, *, setting: str | None = None, value: str | None = None, source: str | None = None
    ) -> None:
        self.reason, self.setting, self.value, self.source = reason, setting, value, source
        named = f"{setting}={value}" if setting is not None and value is not None else setting
        super().__init__(": ".join(part for part in (source, named, reason) if part))

    def named_as_typed(self, flags: Mapping[str, str]) -> "ConfigError":
        """The same error with the flag that was typed, as in `--lr -1: must be greater than 0`.

        `flags` maps a setting's dotted path to its flag. `--set` keeps the path: `--set train.lr=-1: …`.
        """
        flag = flags.get(self.setting or "")
        if flag is None or self.source is not None:
            return self
        named = f"={self.value}" if flag == "--set" else f" {self.value}"
        what = f"{flag} {self.setting}" if flag == "--set" else flag
        return ConfigError(f"{what}{named if self.value is not None else ''}: {self.reason}")


class DataError(CondetrError):
    """A data set that cannot be read."""


class ImageError(CondetrError):
    """An image that cannot be read. The message is the reason, without the path."""


def first_line(error: BaseException, text: str | None = None, limit: int = 160) -> str:
    """The first line of another library's error, and the second where the first ends in a colon, at most `limit`
    characters. `text` is the message where it differs from the error's own. An error without one is named by its class.
    """
    lines = [line.strip() for line in (str(error) if text is None else text).splitlines() if line.strip()]
    line = " ".join(lines[:2]) if lines and lines[0].endswith(":") else next(iter(lines), type(error).__name__)
    return line if len(line) <= limit else line[: limit - 1] + "…"

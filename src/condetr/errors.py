"""Errors that a user can correct. Each message is one line: the thing, the place, the way out."""


class CondetrError(Exception):
    """An error that the user can correct. The command line prints its message without a traceback, and exits with
    `status`."""

    status = 1
    silent = False  # True where another process of the same run reports the same error


class WeightsError(CondetrError):
    """Weights that cannot be used: missing, incomplete, of another shape, or of an unknown format."""


class ConfigError(CondetrError):
    """A setting that does not exist or has an invalid value; the message starts with its dotted path."""


class DataError(CondetrError):
    """A data set that cannot be read."""


class ImageError(CondetrError):
    """An image that cannot be read. The message is the reason, without the path."""

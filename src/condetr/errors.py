"""What a user did wrong, in one line: the thing, the place, the way out. Everything else is a bug and may trace."""


class CondetrError(Exception):
    """A mistake the user can mend. The command line prints the message alone and exits with `status`."""

    status = 1
    spoken = True  # False where another process of the same run has said it


class WeightsError(CondetrError):
    """Weights that cannot be used: missing, cut short, of another shape, of an unknown format."""


class ConfigError(CondetrError):
    """A setting that does not exist or has an impossible value; the message starts with its dotted path."""


class DataError(CondetrError):
    """A data set that cannot be read as one."""


class ImageError(CondetrError):
    """One image that cannot be read. The message is the reason alone, without the path."""

"""Files that are kept however their block ends, with what was written so far."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CondetrError
from ..files import replacing


@contextmanager
def kept(path: Path, ending: str = ".part") -> Iterator[Path]:
    """As `replacing`, but after Ctrl-C or an error inside the block, the file keeps what was written until then."""
    failure: BaseException | None = None
    with replacing(path, ending) as part:
        try:
            yield part
        except BaseException as error:
            failure = error
    if isinstance(failure, OSError):
        raise CondetrError(f"{path}: cannot be written ({failure.strerror or failure}); kept up to there") from None
    if failure is not None:
        raise failure

"""Weights in a repository of the Hugging Face hub: `owner/name`, with `@revision` for a branch, tag or commit."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm

from ..errors import WeightsError, first_line

FILES = (
    "config.json", "preprocessor_config.json", "processor_config.json", "model.safetensors", "adapter_config.json",
)  # fmt: skip
REPOSITORY = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)(?:@([A-Za-z0-9][\w.-]*(?:/[\w-][\w.-]*)*))?", re.ASCII)

logger = logging.getLogger(__name__)


class NoProgressBar(tqdm):  # type: ignore[misc, unused-ignore]
    """Makes a download silent, also where stderr is no terminal. Other users of the hub's client keep their bars."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": True})


def is_repository(name: str) -> bool:
    """Whether a text has the form `owner/name` or `owner/name@revision`."""
    return REPOSITORY.fullmatch(name) is not None


def reason(error: Exception) -> str:
    """Why a download failed: the first line of the client's error without its prefix `Got:`, at most 120 characters."""
    if constants.HF_HUB_OFFLINE and isinstance(error, LocalEntryNotFoundError):
        return "HF_HUB_OFFLINE is set"
    return first_line(error, str(error).strip().removeprefix("Got: "), limit=120)


def download(repository: str, revision: str | None, files: Sequence[str]) -> Path:
    """The folder in huggingface_hub's cache that holds these files of a repository, as far as it has them.

    Without a network this fails at once, unlike the download of a single file. Raises what the hub's client raises.
    """
    if try_to_load_from_cache(repository, "model.safetensors", revision=revision) is None:
        logger.info("downloading %s%s from the hub", repository, f"@{revision}" if revision else "")
    options: Any = {"allow_patterns": list(files), "tqdm_class": NoProgressBar}
    return Path(snapshot_download(repository, revision=revision, **options))


def fetch(name: str) -> Path:
    """The folder in huggingface_hub's cache that holds a repository's weights; HF_HUB_OFFLINE=1 uses only the cache.

    Raises WeightsError for a repository or revision that does not exist, needs a login, or cannot be downloaded.
    """
    match = REPOSITORY.fullmatch(name)
    if match is None:
        raise WeightsError(f"{name}: a hub repository is written owner/name or owner/name@revision")
    repository, revision = match.groups()
    try:
        return download(repository, revision, FILES)
    except GatedRepoError:
        raise WeightsError(
            f"{name}: access to this repository is restricted. Request it at https://huggingface.co/{repository}, then "
            "run `hf auth login`"
        ) from None
    except RevisionNotFoundError:
        raise WeightsError(
            f"{name}: the repository has no revision {revision or 'main'!r}. They are listed at "
            f"https://huggingface.co/{repository}/commits"
        ) from None
    except RepositoryNotFoundError:
        raise WeightsError(
            f"{name}: no such folder, and no such repository on the hub (a private one needs `hf auth login`)"
        ) from None
    except Exception as error:  # whatever a server, a proxy or a broken cache makes the client raise
        at = f" --revision {revision}" if revision else ""
        raise WeightsError(
            f"{name}: no such folder, not in the hub's cache, and the download failed ({reason(error)}). On a machine "
            f"with a network run `hf download {repository}{at} --local-dir DIR`, copy DIR here and give that folder"
        ) from None

"""Which image of a split an entry of a detections file belongs to: by its file name, or else by its image id."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from ..image_keys import Key, key_of, number_of


class ImageIndex:
    """The images of a split by file name and by id; `ids` are the numbers that `find` returns.

    `keys` are their ids as the labels write them. `own_ids`: the labels have ids, as COCO's do; where they have none
    (YOLO, Pascal VOC) the id is the name of the file without its suffix.
    """

    def __init__(self, ids: Sequence[int], keys: Sequence[Key], paths: Sequence[Path], own_ids: bool) -> None:
        self.own_ids = own_ids
        self.key_of = dict(zip(ids, keys))
        self.path_of = dict(zip(ids, paths))
        self._by_key = dict(zip(keys, ids))
        self._by_number: dict[int, list[int]] = {}
        self._by_name: dict[str, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        self._found: dict[str, list[int]] = {}
        for id, key, path in zip(ids, keys, paths):
            number = number_of(key)
            if number is not None:
                self._by_number.setdefault(number, []).append(id)
            self._by_name.setdefault(path.name.casefold(), []).append(id)
            self._by_stem.setdefault(path.stem.casefold(), []).append(id)

    def find(self, entry: Mapping[str, Any]) -> int:
        """Raises ValueError with the reason, as the rest of a sentence."""
        name = entry.get("file_name")
        by_name = self._named(name) if isinstance(name, str) and name.strip() else None
        if by_name is None:
            return self._identified(entry.get("image_id"))
        if len(by_name) == 1:
            return by_name[0]
        if not by_name:
            raise ValueError(f"no image of this split has the file name {name!r:.80}. {self._way_out()}")
        try:
            identified = self._identified(entry.get("image_id"))
        except ValueError:
            identified = None
        if identified in by_name:
            return identified
        some = " and ".join(str(self.path_of[id]) for id in by_name[:2])
        raise ValueError(f"file_name {name!r:.80} fits several images: {some}. Write it with its folder")

    def _named(self, name: str) -> list[int]:
        """The images that share the most components with a name, from its end."""
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> list[int]:
        words = PurePosixPath(name.replace("\\", "/")).parts or ("",)
        found = self._by_name.get(words[-1].casefold()) or self._by_name.get(unquote(words[-1]).casefold())
        if not found:
            return self._by_stem.get(words[-1].casefold(), [])
        if len(found) == 1:
            return found
        alike = [_shared_end(words, self.path_of[id].parts) for id in found]
        return [id for id, length in zip(found, alike) if length == max(alike)]

    def _identified(self, image_id: Any) -> int:
        key = key_of(image_id)
        if key is None:
            raise ValueError(f"image_id must be a number or a word, not {image_id!r:.40}")
        if key in self._by_key:
            return self._by_key[key]
        number = number_of(key)
        found = self._by_number.get(number, []) if number is not None else []
        if len(found) == 1:
            return found[0]
        if isinstance(key, str):
            named = self._named(key)
            if len(named) == 1:
                return named[0]
        raise ValueError(
            f"image_id {image_id!r:.80} is none of the {len(self.key_of)} images of this split. {self._way_out()}"
        )

    def _way_out(self) -> str:
        if self.own_ids:
            return "Choose its `split`, use the labels' image ids or add file_name, or remove the detection"
        return (
            "These labels have no image ids: the id is the name of the image's file without its suffix. "
            "Write that or add file_name, or choose its `split`"
        )


def _shared_end(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many last components two paths have in common."""
    pairs = zip(reversed(one), reversed(other))
    return next((i for i, (a, b) in enumerate(pairs) if a.casefold() != b.casefold()), min(len(one), len(other)))

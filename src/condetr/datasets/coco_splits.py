"""One COCO file that has the images of several splits: each image says its split, or lies in the folder of one."""

from pathlib import PurePosixPath
from typing import Any

from ..image_keys import key_of
from .raw import folder_split, split_name


def divided(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The content of each split, if every image has one and `train` is among several; else all of it as `train`."""
    images, annotations = content.get("images"), content.get("annotations")
    if not isinstance(images, list) or not all(isinstance(entry, dict) for entry in images):
        return {"train": content}
    names = [_split_of(entry) for entry in images]
    splits = [name for name in ("train", "valid", "test") if name in names]
    if None in names or "train" not in splits or len(splits) < 2:
        return {"train": content}
    split_of = {key_of(entry.get("id")): name for entry, name in zip(images, names)}
    parts: dict[str, list[Any]] = {name: [] for name in splits}
    for entry in annotations if isinstance(annotations, list) else ():
        key = key_of(entry.get("image_id")) if isinstance(entry, dict) else None
        parts[split_of.get(key) or "train"].append(entry)
    return {
        name: content | {"images": [e for e, n in zip(images, names) if n == name], "annotations": parts[name]}
        for name in splits
    }


def _split_of(entry: dict[str, Any]) -> str | None:
    if isinstance(said := entry.get("split"), str):
        return split_name(said)
    name = entry.get("file_name")
    folders = PurePosixPath(name.replace("\\", "/")).parts[:-1] if isinstance(name, str) else ()
    return next((split for word in reversed(folders) if (split := folder_split(word))), None)

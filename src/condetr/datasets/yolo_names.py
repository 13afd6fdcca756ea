"""The class names of a YOLO data set, in the forms in which people write them."""

import re
from pathlib import Path
from typing import Any

import yaml

from ..errors import DataError
from ..text import whole_number_in

_NUMBERED = re.compile(r"([0-9]{1,9})\s*[:=,;\t ]\s*(.*\S)")


class TextLoader(yaml.BaseLoader):
    """Reads every value as text. Raises YAMLError where a mapping has a key twice with two values: YAML would use the
    last one, and a class or a split would be lost."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, Any] = {}
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            name, content = self.construct_object(key, deep=True), self.construct_object(value, deep=True)
            if isinstance(name, str) and name in seen and seen[name] != content:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name} occurs twice", key.start_mark)
            if isinstance(name, str):
                seen[name] = content
        return super().construct_mapping(node, deep)


def names_of(given: Any, file: Path, *, alone: bool) -> dict[int, str]:
    """The names by number. `alone`: there is one class, so a single word is its name. Raises DataError."""
    number = whole_number_in(given, digits=5) if isinstance(given, str) else None
    if number:
        given = [f"class {i}" for i in range(number)]
    if isinstance(given, str) and given:
        given = _in_text(given, alone)
    if isinstance(given, list) and given and all(isinstance(one, dict) for one in given):  # - 0: cat
        given = _joined(given)
    if isinstance(given, list) and given:
        given = dict(enumerate(given))
    if not isinstance(given, dict) or not given:
        raise DataError(f"{file}: 'names' must be a list of class names, number: name, or a file with one in each line")
    if not any(str(key).isdecimal() for key in given) and all(str(value).isdecimal() for value in given.values()):
        given = {value: key for key, value in given.items()}  # name: number
    names: dict[int, str] = {}
    for key, name in given.items():
        number = whole_number_in(str(key))
        if number is None or not isinstance(name, str):
            raise DataError(f"{file}: names: the entry {str(key)[:40]!r} is not a class (number: name)")
        names[number] = name.strip()
    return names


def _in_text(text: str, alone: bool) -> Any:
    """`cat, dog`, "['cat', 'dog']" and Python's `('cat', 'dog')` as lists."""
    if re.fullmatch(r"\([^()]*['\",][^()]*\)|\(.*['\"],?\s*\)", text.strip(), re.DOTALL):
        text = f"[{text.strip()[1:-1]}]"
    if re.fullmatch(r"\[.*\]|\{.*\}", text.strip(), re.DOTALL):
        try:
            return yaml.load(text, Loader=TextLoader)
        except yaml.YAMLError:
            return None
    if "," in text:
        return [name.strip() for name in text.split(",") if name.strip()]
    return [text] if alone else None


def _joined(entries: list[dict[Any, Any]]) -> dict[Any, Any]:
    """`[{0: cat}, {1: dog}]` and `[{id: 0, name: cat}, …]` as number: name."""
    if all({"id", "name"} <= entry.keys() for entry in entries):
        return {entry["id"]: entry["name"] for entry in entries}
    return {key: value for entry in entries for key, value in entry.items()}


def names_of_lines(lines: list[str]) -> list[str]:
    """The names of a file with one in each line, without the numbers that all lines can begin with (`0: cat`); a
    single line can have all names, separated by commas."""
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    found = [match[2] for i, match in enumerate(numbered) if match is not None and int(match[1]) == i]
    if len(found) == len(names):
        return found
    if len(names) == 1 and "," in names[0]:
        return [name.strip() for name in names[0].split(",") if name.strip()]
    return names

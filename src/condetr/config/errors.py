"""Errors in settings as plain sentences: what pydantic found, and the nearest right name for a wrong one."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from ..plural import listed

SHOWN = 60  # characters of a value in a message
REASONS = {  # pydantic's types of error; {} are the values of their context
    "missing": "is missing",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of usual size",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must not have fewer values than {min_length}",
    "too_long": "must not have more values than {max_length}",
    "model_type": "must be a group of settings",
    "model_attributes_type": "must be a group of settings",
    "dict_type": "must be a group of settings",
}


def invalid(error: ValidationError, model: type[BaseModel], values: Any, source: str | None) -> ConfigError:
    """The first error as a ConfigError. `values` is what was validated; `source` (a file) opens the message."""
    first = error.errors(include_url=False)[0]
    kind, context = first["type"], first.get("ctx", {})
    path = _path(first["loc"], values)
    if kind == "extra_forbidden":
        return unknown(".".join(path), model, source)
    value = first["input"]
    if kind in ("literal_error", "union_tag_invalid"):
        choices = _choices(str(context.get("expected", context.get("expected_tags", ""))))
        reason = f"must be {listed(choices, 'or')}{did_you_mean(str(context.get('tag', value)), choices)}"
    elif kind == "value_error":
        reason = printable(str(context["error"]))
    else:
        reason = REASONS.get(kind, "is invalid").format(**{k: _number(v) for k, v in context.items()})
    if kind == "union_tag_invalid":
        path, value = [*path, "kind"], context["tag"]
    elif kind == "union_tag_not_found":
        path, reason = [*path, "kind"], "is missing"
    shown = None if isinstance(value, dict) or kind in ("missing", "union_tag_not_found") else describe(value)
    return ConfigError(reason, setting=printable(".".join(path)) or None, value=shown, source=source)


def refuse_unmeant(values: Mapping[str, Any], group: BaseModel, source: str | None = None, above: str = "") -> None:
    """Raises ConfigError for what pydantic lets pass: True for the number 1, and text that UTF-8 cannot encode, which
    could not be saved. `group` was made of the values, and is at the path `above` in the file `source`."""
    for name, value in values.items():
        accepted = getattr(group, name)
        if isinstance(value, Mapping) and isinstance(accepted, BaseModel):
            refuse_unmeant(value, accepted, source, f"{above}{name}.")
        elif isinstance(value, bool) and not isinstance(accepted, bool):
            reason = REASONS["int_type" if isinstance(accepted, int) else "float_type"]
            raise ConfigError(reason, setting=above + name, value=describe(value), source=source)
        elif isinstance(value, str) and value != value.encode("utf-8", "ignore").decode():
            raise ConfigError(REASONS["string_unicode"], setting=above + name, value=describe(value), source=source)


def unknown(path: str, model: type[BaseModel], source: str | None = None) -> ConfigError:
    """The error for a setting that does not exist, with the nearest one that does."""
    parent, _, leaf = path.rpartition(".")
    kinds = [kind for kind, group in variants(model, parent.split(".")).items() if leaf in group.model_fields]
    if kinds:
        return ConfigError(
            f"needs {printable(parent)}.kind={listed(kinds, 'or')}", setting=printable(path), source=source
        )
    hint = did_you_mean(path, setting_paths(model)) or ". See `condetr recipes NAME` for all settings"
    return ConfigError(f"no such setting{hint}", setting=printable(path), source=source)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`. Did you mean …?` with the nearest of the names, or an empty string where none is near.

    Dotted paths are compared by their last part as well, so that `lr` finds `train.lr`.
    """
    names = list(names)
    leaves: dict[str, list[str]] = {}
    for each in names:
        leaves.setdefault(each.rpartition(".")[2], []).append(each)
    leaf = name.rpartition(".")[2]
    near = leaves.get(leaf) or get_close_matches(name, names, 1, 0.75)
    if not near and (leaf_match := get_close_matches(leaf, leaves, 1, 0.7)):
        near = leaves[leaf_match[0]]
    return f". Did you mean {listed(near[:3], 'or')}?" if near else ""


def setting_paths(model: type[BaseModel]) -> list[str]:
    """The dotted paths of all settings, those of every variant included."""
    paths: dict[str, None] = {}
    for name, field in model.model_fields.items():
        groups = _groups(field.annotation)
        for group in groups:
            paths |= dict.fromkeys(f"{name}.{path}" for path in setting_paths(group))
        if not groups:
            paths[name] = None
    return list(paths)


def variants(model: type[BaseModel], path: Sequence[str]) -> dict[str, type[BaseModel]]:
    """The classes that the setting at a path chooses from, by their `kind`."""
    groups: list[type[BaseModel]] = [model]
    for name in path:
        fields = groups[0].model_fields if len(groups) == 1 else {}
        groups = _groups(fields[name].annotation) if name in fields else []
        if not groups:
            return {}
    return {group.model_fields["kind"].default: group for group in groups if "kind" in group.model_fields}


def describe(value: Any) -> str:
    """A value in at most one short line, as it is written in JSON; text as it is, and -1.0 as -1."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = printable(text)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def printable(text: str) -> str:
    """The text with control characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _path(loc: tuple[int | str, ...], values: Any) -> list[str]:
    """The dotted path of an error; pydantic puts a variant's kind into it, which is left out."""
    path: list[str] = []
    for part in loc:
        if isinstance(values, Mapping) and part not in values and values.get("kind") == part:
            continue
        path.append(str(part))
        values = values.get(part) if isinstance(values, Mapping) else None
    return path


def _groups(annotation: Any) -> list[type[BaseModel]]:
    candidates = get_args(annotation) or (annotation,)
    return [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]


def _choices(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected) or re.split(r", | or ", expected)


def _number(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value

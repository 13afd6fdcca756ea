"""docs/settings.md lists every setting with its default, its values and its description, as they are in the code."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from condetr.config import Config

PAGE = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")


def settings(model: type[BaseModel], above: str = "", kind: str = "") -> list[tuple[str, str, str, str]]:
    """(path, default, what it is, kind) of each setting; `kind` is the variant that has it, if only one has."""
    found = []
    for name, field in model.model_fields.items():
        candidates = get_args(field.annotation) or (field.annotation,)
        groups = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
        if len(groups) > 1:
            kinds = ", ".join(f"`{group.model_fields['kind'].default}`" for group in groups)
            found.append((f"{above}{name}.kind", field.default.kind, kinds, ""))
        for group in groups:
            found += settings(group, f"{above}{name}.", group.model_fields["kind"].default if len(groups) > 1 else "")
        if not groups and name != "kind":
            values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            parts = [", ".join(f"`{value}`" for value in values), field.description or ""]
            assert parts[1], f"{above}{name} has no description"
            found.append((f"{above}{name}", shown(field.default), " – ".join(filter(None, parts)), kind))
    return found


def shown(value: Any) -> str:
    """A default as `--set` takes it."""
    if isinstance(value, tuple):
        return f"[{', '.join(f'{one:.4g}' for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    return value if isinstance(value, str) else f"{value:.4g}"


def rows() -> list[str]:
    """The rows of the page's tables. Settings that several variants have alike share a row."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for path, default, text, kind in settings(Config):
        kinds.setdefault((path, default, text), []).append(kind)
    return [
        f"| `{path}` | `{default}` | {text}{' (only ' + ', '.join(of) + ')' if any(of) else ''} |"
        for (path, default, text), of in kinds.items()
    ]


@pytest.mark.parametrize("row", rows())
def test_every_setting_has_its_row(row: str):
    assert row in PAGE.splitlines()


def test_there_are_no_other_rows():
    written = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert sorted(written) == sorted(rows())

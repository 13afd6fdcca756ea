"""Words of the command line that several commands share, and what they mean."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import CondetrError

DEFAULT_WEIGHTS = "microsoft/conditional-detr-resnet-50"

Data = Annotated[Path, typer.Argument(help="a folder (COCO, Roboflow, YOLO, Pascal VOC), or a .json or .yaml file")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; a GPU where there is one")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="a setting by its dotted path, e.g. train.lr=2e-4; repeatable")
]


def settings(assignments: list[str] | None) -> dict[str, Any]:
    """`path=value` words as a dict; a value is JSON where it parses as JSON, else the word itself."""
    parsed = {}
    for assignment in assignments or []:
        path, equals, value = assignment.partition("=")
        if not equals:
            raise CondetrError(f"--set {assignment}: write it as path=value, for example --set train.lr=2e-4")
        try:
            parsed[path.strip()] = json.loads(value)
        except json.JSONDecodeError:
            parsed[path.strip()] = value
    return parsed


def whole_numbers(flag: str, words: str | None) -> list[int] | None:
    """Words with commas as numbers. Raises CondetrError that names the flag."""
    try:
        return None if words is None else [int(word) for word in words.split(",")]
    except ValueError:
        raise CondetrError(f"{flag} {words}: whole numbers with commas, for example 12,25,50") from None


def one_of(flag: str, word: str, *choices: str) -> str:
    """The word, if it is a choice. Raises CondetrError that names the flag and the choices."""
    if word not in choices:
        raise CondetrError(f"{flag} {word}: {' or '.join(choices)}")
    return word

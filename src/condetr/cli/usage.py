"""The parser's error messages, rewritten: the flag as typed, what it accepts, and how to fix it, in one line."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import typer

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # the base of the parser's own, which typer does not export

MESSAGES = (  # the parser's sentence, ours; typer has had several wordings
    (r"No such option: (\S+).*", r"\1: no such option. See `{name} --help`"),
    (r"Option '?([^' ]+)'? requires an argument", r"\1: give a value after it"),
    (r"Option '?([^' ]+)'? does not take a value", r"\1: takes no value"),
    (r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", r"\1: one argument too many. See `{name} --help`"),
    (r"Missing (?:argument|parameter|option) '?([^'.]+).*", r"\1 is missing. See `{name} --help`"),
)
CLOSE = 0.65  # likeness of an option that is suggested
SETTINGS = {  # flags of train that compare has as settings
    "--size": "data.size", "--batch": "train.batch", "--lr": "train.lr", "--queries": "model.queries",
    "--init": "train.init", "--precision": "train.precision",
}  # fmt: skip
VALUES = (
    (r".*valid int.*", "must be a whole number"),
    (r".*valid (?:float|number).*", "must be a number"),
    (r".*(?:greater than or equal to |range x>=)([\d.]+).*", r"must be at least \1"),
    (r".*(?:less than or equal to |range x<=)([\d.]+).*", r"must be at most \1"),
)


def usage_line(error: Exception, name: str, arguments: Sequence[str]) -> str:
    """The message of a UsageError for the command `name` (`condetr train`), given the words after it."""
    name = name.removeprefix("python -m ")
    if isinstance(error, typer.BadParameter) and error.message and error.param is not None:
        flag = max((opt for opt in error.param.opts), key=lambda opt: (opt in arguments, len(opt)))
        return f"{flag}{_value(flag, arguments)}: {_translated(error.message, VALUES)}"
    sentence = error.format_message()  # type: ignore[attr-defined]
    if sentence.startswith("No such option"):
        file = next((word for word in arguments if word.startswith("-") and Path(word).exists()), None)
        if file is not None:
            return f"{file}: no such option. If the file is meant, write ./{file}"
        flag = sentence.split()[3].rstrip(".")
        if name.endswith(" compare") and flag in SETTINGS:
            value = _value(flag, arguments).strip() or "VALUE"
            return f"{flag}: no such option. Use --set {SETTINGS[flag]}={value}"
        near = re.findall(r"--[\w-]+", sentence.partition(flag)[2])  # the parser sorts them by name, from 0.6 on
        likeness = {one: SequenceMatcher(None, flag, one).ratio() for one in near}
        if near and max(likeness.values()) > CLOSE:
            return f"{flag}: no such option. Did you mean {max(near, key=likeness.__getitem__)}?"
    return _translated(sentence, MESSAGES).replace("{name}", name)


def _translated(sentence: str, table: Sequence[tuple[str, str]]) -> str:
    sentence = " ".join(sentence.split()).rstrip(".")
    for pattern, ours in table:
        if re.fullmatch(pattern, sentence):
            return re.sub(pattern, ours, sentence)
    return sentence


def _value(flag: str, arguments: Sequence[str]) -> str:
    """The word that was given to a flag, after a space."""
    for word, following in zip(arguments, [*arguments[1:], ""]):
        if word == flag:
            return f" {following}"
        if word.startswith(f"{flag}="):
            return f" {word.partition('=')[2]}"
    return ""

"""Messages name arguments as Python has them, in backticks, such as `epochs=60`; on the command line they are flags."""

import ast
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from typer.main import get_current_context

CODE = re.compile(r"`([^`]+)`")
SHOWN = re.compile(r"(?<![\w-])(--[a-z][\w-]*) ([^\s,;]*[^\s,;:.)])")
NAMED = re.compile(r"(\w+) \S+: ")
WORDS = "condetr.words"  # of the present command, in the meta of its context
RENAMED = {"settings": "--set", "trackers": "--track"}


def as_typed(text: str) -> str:
    """The message with every argument, assignment and call in backticks as it is typed in the present command.

    "`resume=True, epochs=60`" becomes "--resume --epochs 60", "`condetr.train('birds', recipe='small')`" becomes
    "condetr train birds --recipe small". Other words in backticks stay as they are. So does a value of a flag: after
    `--overlap 3`, "--overlap 3.0" becomes "--overlap 3", and "overlap 3.0: …" does at the beginning.
    """
    flags, given = _flags(), _given()
    text = CODE.sub(lambda match: _typed(match[1], flags) or match[0], text)
    named = NAMED.match(text)
    if named and flags.get(named[1]) in dict(given):
        text = flags[named[1]] + text[named.end(1) :]
    return SHOWN.sub(lambda match: f"{match[1]} {_echo(match[1], match[2], given)}", text)


def _given() -> list[tuple[str, str]]:
    """The flags of the present command as they were typed, each with the word after it."""
    context: Any = get_current_context(silent=True)
    words: Sequence[str] = context.meta.get(WORDS, ()) if context is not None else ()
    apart = [(word, following) for word, following in zip(words, [*words[1:], ""]) if word.startswith("--")]
    joined = [(flag, value) for flag, equals, value in (word.partition("=") for word, _ in apart) if equals]
    return apart + joined


def _echo(flag: str, shown: str, given: Sequence[tuple[str, str]]) -> str:
    return next((word for name, word in given if name == flag and _same(word, shown)), shown)


def _same(word: str, shown: str) -> bool:
    """Whether both stand for the same number, or assign it to the same setting."""
    (path, _, number), (shown_path, _, shown_number) = (
        ("=" * ("=" not in one) + one).partition("=") for one in (word, shown)
    )
    try:
        return path == shown_path and float(number) == float(shown_number)
    except ValueError:
        return False


def _flags() -> dict[str, str]:
    """The flags of the present command by the arguments' names in Python."""
    context: Any = get_current_context(silent=True)
    options = context.command.params if context is not None else []
    return RENAMED | {
        one.name.rstrip("_"): max(one.opts, key=len) for one in options if one.param_type_name == "option"
    }


def _typed(code: str, flags: Mapping[str, str]) -> str | None:
    if code.isidentifier():
        return flags.get(code)
    try:
        tree = ast.parse(code if code.startswith("condetr.") else f"condetr({code})", mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(tree, ast.Call) or any(keyword.arg is None for keyword in tree.keywords):
        return None
    command = ast.unparse(tree.func).split(".")
    if len(command) == 1 and (tree.args or not tree.keywords):
        return None
    words = [*command, *map(_value, tree.args)] if len(command) > 1 else []
    for keyword in tree.keywords:
        words += _assignment(str(keyword.arg), keyword.value, flags)
    return " ".join(words)


def _assignment(name: str, value: ast.expr, flags: Mapping[str, str]) -> list[str]:
    flag = flags.get(name, f"--{name.replace('_', '-')}")
    if isinstance(value, ast.Dict):
        paths = [str(ast.literal_eval(key)) for key in value.keys if key is not None]
        return [word for path, one in zip(paths, value.values) for word in (flag, f"{path}={_setting(one)}")]
    if isinstance(value, ast.Constant) and value.value is True:
        return [flag]
    return [flag, _value(value)]


def _setting(value: ast.expr) -> str:
    """A setting's value as `--set` reads it: text as it is, anything else as JSON."""
    if isinstance(value, ast.Name) or (isinstance(value, ast.Constant) and isinstance(value.value, str)):
        return _value(value)
    return shlex.quote(json.dumps(ast.literal_eval(value)))


def _value(value: ast.expr) -> str:
    """A value as a word of the shell; a name, which stands for one, as it is."""
    if isinstance(value, ast.Constant):
        return shlex.quote(str(value.value))
    if isinstance(value, ast.List | ast.Tuple):
        return ",".join(map(_value, value.elts))
    return ast.unparse(value)

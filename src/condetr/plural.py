"""A number with its noun or unit, in a sentence for a person."""

from typing import SupportsFloat


def counted(number: int, noun: str) -> str:
    """The number and the noun, in the plural unless the number is 1: `1 query`, `12,000 queries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} " + (f"{noun[:-1]}ies" if noun.endswith("y") else noun + ("es" if noun[-1] in "sx" else "s"))


def percent(fraction: SupportsFloat) -> str:
    """The fraction in percent: `31 %`."""
    return f"{100 * float(fraction):.0f} %"

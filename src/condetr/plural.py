"""Numbers with their nouns or units, and several things in a row, in a sentence for a person."""

from collections.abc import Sequence
from typing import SupportsFloat


def counted(number: int, noun: str) -> str:
    """The number and the noun, in the plural unless the number is 1: `1 query`, `12,000 queries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} " + (f"{noun[:-1]}ies" if noun.endswith("y") else noun + ("es" if noun[-1] in "sx" else "s"))


def listed(names: Sequence[str], conjunction: str = "and") -> str:
    """The names as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    return f" {conjunction} ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def percent(fraction: SupportsFloat) -> str:
    """The fraction in percent: `31 %`."""
    return f"{100 * float(fraction):.0f} %"

"""A number with its noun, in a sentence for a person."""


def counted(number: int, noun: str) -> str:
    """The number and the noun, in the plural unless the number is 1: `1 query`, `12,000 queries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} " + (f"{noun[:-1]}ies" if noun.endswith("y") else noun + ("es" if noun[-1] in "sx" else "s"))

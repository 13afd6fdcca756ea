"""The document that explains the model quotes the code as it is, and shows images that are there."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
QUOTES = re.findall(r"<!-- (src/\S+) -->\n```python\n(.*?)```", DOCUMENT, re.S)


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in dedent(text).strip("\n").splitlines()]


def occurs(quote: str, source: str) -> bool:
    """Whether the quote's lines stand in the source, one after another, at any depth."""
    wanted, there = lines(quote), source.splitlines()
    return any(wanted == lines("\n".join(there[i : i + len(wanted)])) for i in range(len(there)))


@pytest.mark.parametrize(("path", "quote"), QUOTES, ids=[f"{path}-{i}" for i, (path, _) in enumerate(QUOTES)])
def test_what_is_quoted_is_in_the_source(path, quote):
    assert occurs(quote, (ROOT / path).read_text(encoding="utf-8")), f"{path} no longer says:\n{quote}"
    assert len(lines(quote)) <= 10


def test_every_block_of_code_says_where_it_is_from():
    blocks = DOCUMENT.count("```python")
    assert len(QUOTES) == blocks >= 5


def test_a_quote_with_one_changed_word_is_noticed():
    path, quote = QUOTES[0]
    assert not occurs(quote.replace("memory", "image", 1), (ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", ["how-it-works.md", "explain.md"])
def test_links_lead_to_files_and_images_are_small(document):
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        path = ROOT / "docs" / link
        assert path.is_file(), link
        assert path.suffix not in {".png", ".jpg"} or path.stat().st_size <= 150_000, link

"""What the documentation site adds to the Markdown of a page when it is built.

Equations, `$$ LaTeX $$`, become MathML, which browsers draw without a script and without a request to another server.
Parts between `\\qquad` may stand below one another. An image opens alone on a click, in its full size.
"""

import re
from typing import Any

from latex2mathml.converter import convert


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs with the text of each page."""
    markdown = re.sub(r"^(!\[[^]]*\]\((images/[^)]*)\))$", r"[\1](\2)", markdown, flags=re.MULTILINE)
    return re.sub(r"^\$\$(.+?)\$\$$", _equation, markdown, flags=re.MULTILINE | re.DOTALL)


def _equation(match: re.Match[str]) -> str:
    parts = match[1].replace("\n", " ").split(r"\qquad")
    return f'<div class="equation">{"".join(convert(part.strip(" ,"), display="block") for part in parts)}</div>'


def on_page_content(html: str, **_: Any) -> str:
    """Called by mkdocs with the HTML of each page: in tables, the names may be broken at dots and underscores."""
    return re.sub(r"<td><code>[\w.]+</code>", lambda match: re.sub(r"[._]", r"\g<0><wbr>", match[0]), html)

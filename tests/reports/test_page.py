"""A page is one file that loads nothing from the network and shows hostile text as text."""

import json
import re
import tomllib
import weakref
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condetr.errors import CondetrError
from condetr.reports.charts import chart
from condetr.reports.overlay import MarkedImage
from condetr.reports.page import Page

HOSTILE = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\x1b\x9b\u202e\u2066$\\frac"


class Reader(HTMLParser):
    """Collects elements, visible text and everything that a browser would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.fetched: list[str] = []
        self.handlers: list[str] = []
        self.within = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.within = tag
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith(("#", "data:")):
                self.fetched.append(f"{tag} {name}={value}")
            if name.startswith("on"):
                self.handlers.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self.within not in ("style", "script"):
            self.texts.append(data)


def everything(text: str) -> Page:
    page = Page(text, text)
    page.numbers([(text, text, text), ("AP", 0.5), ("none", None)])
    page.heading(text)
    page.heading("second")
    page.text(text)
    page.table([text, "AP"], [[text, 0.25], ["b", float("nan")]], caption=text)
    figure, (plot,) = chart()
    plot.bar([0, 1], [1, 2], label=text)
    plot.set_xticks([0, 1], [text, "other"])
    plot.set_title(text)
    plot.legend()
    page.figure(figure, text)
    images = (np.zeros((4, 6, 3), np.uint8), np.full((300, 400, 3), 200, np.uint8))
    page.gallery([MarkedImage(image, (), text) for image in images], ())
    page.data("numbers", {"name": text, "values": [1.0, float("nan")]})
    page.script("console.log('</script>')")
    return page


def test_hostile_text_is_shown_and_never_becomes_markup() -> None:
    plain, hostile = Reader(everything("plain").html()), Reader(everything(HOSTILE).html())
    assert hostile.tags == plain.tags
    assert hostile.handlers == []
    assert sum("<script>alert(1)</script>" in text for text in hostile.texts) >= 9


def test_code_in_a_paragraph_is_marked_and_escaped() -> None:
    page = Page("t")
    page.text("give `nms=0.7` or `<b>`, not a lone ` here")
    assert "give <code>nms=0.7</code> or <code>&lt;b&gt;</code>, not a lone ` here" in page.html()


def test_characters_that_control_or_reorder_text_are_replaced() -> None:
    html = everything(HOSTILE).html()
    visible = re.sub(r'<script type="application/json".*?</script>', "", html)
    assert not re.search("[\x00-\x08\x1b\x7f-\x9f\u202a-\u202e\u2066-\u2069]", visible)
    assert visible.count("\ufffd" * 5) >= 9


def test_a_gallery_takes_its_images_one_by_one() -> None:
    made: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def images() -> Iterator[MarkedImage]:
        for number in range(6):
            image = np.full((700, 900, 3), number, np.uint8)
            made.append(weakref.ref(image))
            alive.append(sum(one() is not None for one in made))
            yield MarkedImage(image, (), str(number))
            del image

    page = Page("t")
    page.gallery(images(), ())
    assert len(alive) == page.html().count("<img") == 6
    assert max(alive) <= 2
    assert sum(one() is not None for one in made) == 0


def test_the_page_loads_nothing_from_the_network() -> None:
    page = everything("plain").html()
    assert Reader(page).fetched == []
    assert "default-src 'none'" in page
    assert not re.search(r"url\((?!#)|@import", page)


def test_data_is_valid_json_with_null_for_nan() -> None:
    content = re.search(r'id="numbers">(.*?)</script>', everything(HOSTILE).html()).group(1)
    assert json.loads(content) == {"name": HOSTILE, "values": [1.0, None]}


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40))
def test_no_text_changes_the_structure_of_the_page(text: str) -> None:
    def table(word: str) -> Reader:
        page = Page(word)
        page.text(word)
        page.table([word], [[word]])
        page.data(word, word)
        return Reader(page.html())

    assert table(text).tags == table("x").tags


def test_numbers_are_aligned_and_missing_numbers_are_a_dash() -> None:
    page = Page("t")
    page.table(["name", "AP"], [["a", 0.12345], ["b", float("nan")], ["c", None]])
    html = page.html()
    assert '<td class="number" data-key="0.12345">0.123</td>' in html
    assert html.count('<td class="number">–</td>') == 2


def test_a_column_of_sentences_is_not_squeezed_on_a_phone() -> None:
    page = Page("t")
    page.table(
        ["defect", "meaning", "action"], [["leak", "a training image is also in valid", "drop"], ["x", "y", "z"]]
    )
    assert re.findall("<td[^>]*>", page.html()) == ["<td>", '<td class="long">', "<td>"] * 2


def test_no_line_ends_between_a_number_and_its_unit() -> None:
    page = Page("t")
    page.text("12 % of 640 × 480 px in 5 ms and 20 minutes")
    page.table(["share"], [["9 %"]], "1.5 GB")
    html = page.html()
    for text in ("12\xa0% of 640\xa0× 480\xa0px in 5\xa0ms and 20 minutes", ">9\xa0%<", "1.5\xa0GB"):
        assert text in html


def test_a_column_whose_texts_all_begin_with_a_number_is_sorted_by_it():
    page = Page("sorted")
    page.table(["epochs", "of", "name"], [["9 (7 … 10)", "10%", "4"], ["24", None, "four"], ["–", "9%", "7"]])
    html = page.html()
    for cell in ('data-key="9.0">9 (7', 'data-key="24.0">24<', 'data-key="10.0">10%', 'data-key="9.0">9%'):
        assert cell in html
    assert "<td>four</td>" in html
    assert "<td>4</td>" in html


def test_equal_pages_have_equal_bytes() -> None:
    assert everything("plain").html() == everything("plain").html()


def test_a_figure_with_very_many_points_is_stored_as_png() -> None:
    figure, (plot,) = chart()
    x = np.random.default_rng(0).random((2, 60_000))
    plot.scatter(*x, s=1)
    page = Page("t")
    page.figure(figure)
    assert "data:image/png" in page.html()
    assert len(page.html()) < 1_500_000


def test_log_axes_keep_their_exponents() -> None:
    figure, (plot,) = chart()
    plot.loglog([1, 10, 1000], [1, 2, 3])
    page = Page("t")
    page.figure(figure)
    assert "mathdefault" not in page.html()


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CondetrError, match="cannot be written"):
        Page("t").save(tmp_path / "file" / "report.html")


def test_every_file_that_a_page_needs_is_in_the_package() -> None:
    root = Path(__file__).parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["condetr"]
    packaged = {path for pattern in patterns for path in (root / "src" / "condetr").glob(pattern)}
    files = {path for kind in ("js", "css") for path in (root / "src" / "condetr").rglob(f"*.{kind}")}
    assert len(files) >= 8
    assert files <= packaged

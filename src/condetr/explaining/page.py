"""Image records as one self-contained, interactive HTML page: select a detection, a layer and a head."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ..plural import percent
from ..reports.elements import escape, visible
from ..reports.page import Page
from ..reports.tables import Cell, Column
from ..types import Categories
from .extremities import REGIONS
from .head_roles import AttentionShares
from .image_record import ImageRecord, Point
from .page_image import Prediction, base64_text, colormap, detections_of, image_values

BUDGET = 6_000_000  # bytes of maps in a page before compression: the page stays below about 5 MB
MOST_DETECTIONS = 20  # of one image
TURNS = {"previous": "← previous images", "next": "next images →"}


BEFORE = "The attention maps appear when this page's script has run. Detections:"
NAMED = 5  # detections of an image in a line


def detected(record: ImageRecord) -> str:
    """The best detections with their scores, or why there is none."""
    found = record.detections
    if not len(found):
        return record.no_detection
    named = [f"{name} {score:.2f}" for name, score in zip(found.names[:NAMED], found.scores)]
    return ", ".join(named) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")


class ExplanationPage:
    """Add image records, then save. A record is reduced at once to what the page shows, because it is large."""

    def __init__(self, images: int, categories: Categories, subtitle: str) -> None:
        self.budget, self.categories, self.subtitle = BUDGET // max(1, images), categories, subtitle
        self._images: list[dict[str, Any]] = []
        self._lines: list[str] = []  # what the page says of each image until its script has run
        self._thresholds: tuple[float, ...] = ()  # by label; the same for all images

    def __len__(self) -> int:
        """The number of images."""
        return len(self._images)

    def add(self, name: str, record: ImageRecord, selected: Sequence[Prediction]) -> None:
        """Add an image with the selected predictions, then the detections by score, as the budget for maps allows."""
        found = list(dict.fromkeys([*selected, *detections_of(record)]))
        rows, columns = record.grid
        each = record.layers * len(record.parts) * record.heads * rows * columns
        queries = max(1, len(selected), self.budget // each)
        most = max(len(selected), MOST_DETECTIONS)
        while len({query for query, _ in found[:most]}) > queries:  # two predictions of one query share its maps
            most -= 1
        self._thresholds = record.thresholds
        self._lines.append(f"{name}: {detected(record)}")
        self._images.append(image_values(name, record, found[:most], len(found[most:])))

    def save(
        self, path: Path, layer: int, at: Point | None, shares: AttentionShares | None, links: Mapping[str, str]
    ) -> None:
        """Write the page. It opens on the first image's best detection, or on the query nearest to `at`. `links` are
        file names of the previous and the next page, empty where there is none."""
        page = Page("Attention of the detector", self.subtitle)
        files = resources.files("condetr.explaining")
        page.raw(f"<style>{(files / 'page.css').read_text(encoding='utf-8')}</style>")
        turns = [f'<a href="{escape(to)}">{TURNS[which]}</a>' for which, to in links.items() if to]
        page.raw(f'<p class="turns">{" ".join(turns)}</p>' if turns else "")
        lines = "".join(f"<li>{escape(line)}</li>" for line in self._lines)
        page.raw(f'<div id="explain"><p class="hint">{BEFORE}</p><ul>{lines}</ul></div>')
        if shares is not None:
            page.heading("What each head attends to")
            over = f"Means over {shares.detections} detections" if shares.detections > 1 else "One detection"
            page.text(SHARES.format(over, shares.layer, percent(shares.inside_uniform), percent(shares.border_uniform)))
            page.table(
                [
                    "part",
                    "head",
                    "most frequent peak",
                    "how often",
                    "in the box",
                    Column("near its border", optional=True),
                ],
                _rows(shares),
            )
        page.heading("How to read this")
        for paragraph in LEGEND:
            page.text(paragraph)
        start = {"p": 0, "d": 0, "l": layer, "m": "detection" if at is None else "why"}
        page.data(
            "explanation",
            {
                "colors": base64_text(colormap()),
                "regions": REGIONS,
                "names": [visible(self.categories.name(label)) for label in range(len(self.categories))],
                "thresholds": self._thresholds,
                "start": start | ({} if at is None else {"x": round(at[0]), "y": round(at[1])}),
                "images": self._images,
            },
        )
        for name in ("canvas.js", "page.js"):
            page.script((files / name).read_text(encoding="utf-8"))
        page.save(path)


SHARES = (
    "{}, decoder layer {}: the share of a head's attention inside the box and near its border (within a tenth of its "
    "sides). A uniform map would have {} inside (the box's area) and {} near the border. The peak of a map is its "
    "brightest cell. It is inside when it lies in the middle third of the box in both directions, elsewhere when the "
    "whole cell is outside the box by more than a quarter of its side, and otherwise at the side (left, top, right, "
    "bottom) it is closest to."
)
LEGEND = (
    "Each map shows the attention of one query in one head of the decoder's cross-attention. A map is scaled to its "
    "own maximum. Color begins at the attention that a uniform map would have: cells with less stay grey. A map with "
    "a maximum below twice that attention is faint, because its brightest cell means little; below 1.5 times that, "
    "it is called nearly uniform.",
    "The spatial part is the softmax of p_q·p_k alone, the content part that of c_q·c_k, and combined is the softmax "
    "of their sum, which is what the layer uses. In the first layer, c_q and c_k include the object query and the "
    "key's position, so the content part depends on positions, too. DETR has only the combined map.",
    "The text below each map gives the region of its brightest cell on the object, and the fraction of the attention "
    "that lies inside the box. The URL of this page changes with the selection, so that a view can be shared or "
    "bookmarked.",
)


def _rows(shares: AttentionShares) -> list[list[Cell]]:
    return [
        [part, head, shares.roles[i][head], *(percent(values[i, head]) for values in shown)]
        for shown in [(shares.agreement, shares.inside, shares.border)]
        for i, part in enumerate(shares.parts)
        for head in range(shares.inside.shape[1])
    ]

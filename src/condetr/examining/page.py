"""The page of a diagnosis: counts, charts, every defect with its place, and images with their labels."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..datasets.defects import DEFECTS, grouped
from ..plural import counted
from ..reports.charts import BLUE, GREY, ORANGE, chart
from ..reports.page import Page
from ..reports.tables import Cell, Column, Name
from .drawings import LAYERS, USED, defective, drawn_defects, drawn_samples, varied
from .results import Count, Results

MOST_ROWS = 500  # of single findings; the JSON lists all of them
MOST_DEFECTIVE = 24  # images
MOST_SAMPLES = 12  # images
MOST_CLASSES = 30  # in the chart
MOST_BARS = 60
LONGEST_NAME = 24  # of a class in the chart


def page(diagnosis: Results) -> Page:
    data = diagnosis.dataset
    page = Page(f"Doctor: {data.name}", diagnosis.summary)
    severities = Counter(finding.defect.severity for finding in diagnosis.findings)
    counts = diagnosis.counts
    page.numbers(
        [
            ("images used", sum(c.used_images for c in counts), _of(c.images for c in counts)),
            ("objects used", sum(c.used_objects for c in counts), _of(c.objects for c in counts)),
            ("classes", len(data.categories.real), data.format_name),
            ("errors", severities["error"], ", ".join(counted(severities[one], one) for one in ("warning", "note"))),
        ]
    )
    page.heading("Splits")
    sizes = diagnosis.size_histogram()
    page.table(
        ["split", Column("images", optional=True), "images used", Column("without objects", optional=True),
         Column("objects", optional=True), "objects used",
         *(Column(title, optional=True) for title in ("crowds", "small", "medium", "large"))],
        [_row(c, sizes.get(c.split, (0, 0, 0))) for c in counts],
        "Objects by size (on a wide screen) as COCO defines it: small is an area under 32² pixels, medium under 96² "
        "pixels, large is above.",
    )  # fmt: skip
    if data.splits:
        page.heading("Objects")
        _charts(page, diagnosis)
    page.heading("Defects")
    _defects(page, diagnosis)
    drawable = defective(diagnosis.raw, diagnosis.findings)
    if drawable:
        page.heading("Images with the worst defects")
        page.gallery(drawn_defects(diagnosis.raw, data, drawable, MOST_DEFECTIVE), LAYERS)
    splits = {split.name: split.images.paths for split in diagnosis.raw.splits}
    without = {splits[name][row] for (name, row), _ in drawable}
    if samples := varied(data, MOST_SAMPLES, without):
        page.heading("Labelled images")
        page.gallery(drawn_samples(data, samples), (USED,))
    if diagnosis.findings:
        page.heading("All findings")
        _findings(page, diagnosis)
    return page


def _defects(page: Page, diagnosis: Results) -> None:
    if not diagnosis.findings:
        page.text("None.")
        return
    page.table(
        ["defect", "severity", "count", "meaning", "action", "how to fix it"],
        [
            [name.replace("_", " "), _severity(name), len(found), one.meaning, one.action, one.remedy]
            for name, found in grouped(diagnosis.findings)
            for one in (DEFECTS[name],)
        ],
    )


def _findings(page: Page, diagnosis: Results) -> None:
    places = [(f, name) for name, found in grouped(diagnosis.findings) for f in found]
    if len(places) > MOST_ROWS:
        page.text(f"The first {MOST_ROWS} of {len(places):,}; doctor.json lists all of them.")
    page.text(f"Files are below {diagnosis.dataset.root}. The number after a colon is a line.")
    root = diagnosis.dataset.root
    page.table(
        ["defect", "severity", "place", "detail"],
        [[name.replace("_", " "), _severity(name), f.place(root), f.detail] for f, name in places[:MOST_ROWS]],
    )


def _charts(page: Page, diagnosis: Results) -> None:
    categories, histogram = diagnosis.dataset.categories, diagnosis.class_histogram()
    total = sum(histogram.values(), start=np.zeros(len(categories), np.int64))
    order = sorted(categories.real, key=lambda label: -total[label])[:MOST_CLASSES]
    figure, (plot,) = chart(size=(4.4, 1.4 + 0.24 * len(order)))  # narrow: its text stays readable on a phone
    left = np.zeros(len(order))
    for (name, counts), color in zip(histogram.items(), (BLUE, ORANGE, GREY)):
        plot.barh(range(len(order)), counts[order], left=left, label=name, color=color)
        left += counts[order]
    plot.set_yticks(range(len(order)), [_short(categories.name(label)) for label in order])
    plot.invert_yaxis()
    plot.set_xlabel("objects")
    plot.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(histogram) > 1:
        plot.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(histogram))
    page.figure(
        figure, f"Objects of each class (the {len(order)} most frequent)." if len(order) < len(categories) else ""
    )
    page.figure(
        [_sizes(diagnosis), _object_counts(diagnosis)],
        "Object sizes (square root of the area), and the number of objects in an image.",
    )


def _sizes(diagnosis: Results) -> Figure:
    samples = [sample.truth for split in diagnosis.dataset.splits.values() for sample in split]
    sides = [np.sqrt((t.boxes[:, 2:] - t.boxes[:, :2]).prod(axis=1) / (t.size[0] * t.size[1])) for t in samples]
    figure, (plot,) = chart(size=(4.0, 3.2))
    plot.hist(np.concatenate(sides), bins=np.linspace(0, 1, 41).tolist(), color=BLUE)
    plot.set_xlabel("side of an object, as a fraction of its image's")
    plot.set_ylabel("objects")
    plot.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _object_counts(diagnosis: Results) -> Figure:
    """A bar for each number of objects; for several numbers where there would be more than MOST_BARS."""
    objects = [len(sample.truth) for split in diagnosis.dataset.splits.values() for sample in split]
    width = -(-(max(objects) + 1) // MOST_BARS)
    first = np.arange(0, max(objects) + 1, width)
    images = np.bincount(np.array(objects) // width, minlength=len(first))
    figure, (plot,) = chart(size=(4.0, 3.2))
    plot.bar(first + (width - 1) / 2, images, width=0.85 * width, color=BLUE)
    plot.set_xlabel("objects in an image")
    plot.set_ylabel("images")
    for axis in (plot.xaxis, plot.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _severity(name: str) -> Name:
    severity = DEFECTS[name].severity
    return Name("", severity, tone=severity)


def _row(count: Count, sizes: tuple[int, int, int]) -> list[Cell]:
    c = count
    return [c.split, c.images, c.used_images, c.without_objects, c.objects, c.used_objects, c.crowds, *sizes]


def _of(numbers: Iterable[int]) -> str:
    return f"of {sum(numbers):,}"

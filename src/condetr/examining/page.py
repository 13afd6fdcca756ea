"""The page of a diagnosis: counts, charts, every defect with its place, and the images with the worst defects."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from ..datasets.defects import DEFECTS, Finding, grouped
from ..datasets.raw import RawObjects
from ..errors import ImageError
from ..images.decode import Pixels, open_image
from ..reports.charts import BLUE, GREY, ORANGE, chart
from ..reports.drawing import draw_boxes, enlarge
from ..reports.page import Page
from ..reports.tables import Cell
from ..shapes import Float
from .diagnosis import Count, Diagnosis

MOST_ROWS = 500  # of single findings; the JSON lists all of them
MOST_IMAGES = 24
MOST_CLASSES = 30  # in the chart
_RANK = {"error": 0, "warning": 1, "note": 2}
_NOT_DRAWN = {"no_objects", "crowd_box", "size_missing", "class_missing", "empty_class"}  # invisible in an image
_UNREADABLE = {"missing_image", "unreadable_image", "truncated_image", "outside_folder"}


def page(diagnosis: Diagnosis) -> Page:
    data = diagnosis.dataset
    page = Page(f"Doctor: {data.name}", diagnosis.summary)
    severities = Counter(finding.defect.severity for finding in diagnosis.findings)
    counts = diagnosis.counts
    page.numbers(
        [
            ("images used", sum(c.used_images for c in counts), _of(c.images for c in counts)),
            ("objects used", sum(c.used_objects for c in counts), _of(c.objects for c in counts)),
            ("classes", len(data.categories.real), data.format),
            ("errors", severities["error"], f"{severities['warning']:,} warnings, {severities['note']:,} notes"),
        ]
    )
    page.heading("Splits")
    sizes = diagnosis.size_histogram()
    page.table(
        ["split", "images", "used", "without objects", "objects", "used", "crowds", "small", "medium", "large"],
        [_row(c, sizes.get(c.split, (0, 0, 0))) for c in counts],
        "Small, medium and large as COCO defines them: an area under 32² pixels, under 96² pixels, and above.",
    )
    if data.splits:
        page.heading("Objects")
        _charts(page, diagnosis)
    page.heading("Defects")
    if not diagnosis.findings:
        page.text("None.")
        return page
    page.table(
        ["defect", "severity", "count", "meaning", "action", "how to fix it"],
        [
            [name.replace("_", " "), one.severity, len(found), one.meaning, one.action, one.remedy]
            for name, found in grouped(diagnosis.findings)
            for one in (DEFECTS[name],)
        ],
    )
    if drawable := _drawable(diagnosis):
        page.heading("Images with the worst defects")
        page.text(
            "Solid lines: objects that are used. Dashed lines: objects with a defect, with its name, "
            "and all objects of an image that is left out."
        )
        page.gallery(_drawn(diagnosis, drawable))
    page.heading("All findings")
    places = [(f, name) for name, found in grouped(diagnosis.findings) for f in found]
    if len(places) > MOST_ROWS:
        page.text(f"The first {MOST_ROWS} of {len(places):,}; doctor.json lists all of them.")
    page.table(
        ["defect", "place", "detail"],
        [[name.replace("_", " "), _where(f), f.detail] for f, name in places[:MOST_ROWS]],
    )
    return page


def _charts(page: Page, diagnosis: Diagnosis) -> None:
    categories, histogram = diagnosis.dataset.categories, diagnosis.class_histogram()
    total = sum(histogram.values(), start=np.zeros(len(categories), np.int64))
    order = sorted(categories.real, key=lambda label: -total[label])[:MOST_CLASSES]
    figure, (plot,) = chart(size=(8.0, 1.2 + 0.24 * len(order)))
    left = np.zeros(len(order))
    for (name, counts), color in zip(histogram.items(), (BLUE, ORANGE, GREY)):
        plot.barh(range(len(order)), counts[order], left=left, label=name, color=color)
        left += counts[order]
    plot.set_yticks(range(len(order)), [categories.name(label)[:40] for label in order])
    plot.invert_yaxis()
    plot.set_xlabel("objects")
    plot.legend()
    page.figure(
        figure, f"Objects of each class (the {len(order)} most frequent)." if len(order) < len(categories) else ""
    )
    figure, (plot, other) = chart(columns=2)
    samples = [sample.truth for split in diagnosis.dataset.splits.values() for sample in split]
    sides = [np.sqrt((t.boxes[:, 2:] - t.boxes[:, :2]).prod(axis=1) / (t.size[0] * t.size[1])) for t in samples]
    plot.hist(np.concatenate(sides), bins=np.linspace(0, 1, 41).tolist(), color=BLUE)
    plot.set_xlabel("side of an object, as a fraction of its image's")
    plot.set_ylabel("objects")
    most = max(len(truth) for truth in samples)
    other.hist([len(t) for t in samples], bins=(np.arange(min(most, 60) + 2) * max(1, most / 60)).tolist(), color=BLUE)
    other.set_xlabel("objects in an image")
    other.set_ylabel("images")
    page.figure(figure, "Object sizes (square root of the area), and the number of objects in an image.")


_Key = tuple[str, str]  # split and file name


def _drawable(diagnosis: Diagnosis) -> list[tuple[_Key, list[Finding]]]:
    """Images whose defects can be drawn, with their findings, the most severe first."""
    by_file: dict[_Key, list[Finding]] = {}
    for finding in diagnosis.findings:
        if finding.defect.name not in _NOT_DRAWN and finding.file:
            by_file.setdefault((finding.split, finding.file), []).append(finding)
    images = {(split.name, path.name) for split in diagnosis.raw.splits for path in split.images.paths}
    drawable = [
        (key, found) for key, found in by_file.items() if key in images and not {f.name for f in found} & _UNREADABLE
    ]
    return sorted(drawable, key=lambda item: (min(_RANK[f.defect.severity] for f in item[1]), -len(item[1])))


def _drawn(diagnosis: Diagnosis, drawable: list[tuple[_Key, list[Finding]]]) -> Iterator[tuple[Pixels, str]]:
    """The first images that can be opened, drawn one after another: a single one is in memory at a time."""
    rows = {(s.name, path.name): (s, row) for s in diagnosis.raw.splits for row, path in enumerate(s.images.paths)}
    used = {(name, s.path.name): s.truth for name, split in diagnosis.dataset.splits.items() for s in split}
    categories = diagnosis.dataset.categories
    left = MOST_IMAGES
    for key, findings in drawable:
        if not left:
            return
        split, row = rows[key]
        try:
            image, factor = enlarge(open_image(split.images.paths[row]))
        except (ImageError, ValueError):
            continue  # the tables name it; there is nothing to draw
        left -= 1
        if key in used:
            truth = used[key]
            names = [categories.name(int(label)) for label in truth.labels]
            image = draw_boxes(image, truth.boxes * factor, names, truth.labels)
        marked = findings if key in used else None
        image = _with_raw_boxes(image, factor, split.objects, row, marked, len(categories))
        names_of = Counter(f.name for f in findings)
        what = ", ".join(name if n == 1 else f"{name} ×{n}" for name, n in names_of.items())
        yield image, f"{key[0]}/{key[1]}: {what}"
        del image


def _with_raw_boxes(
    image: Pixels, factor: int, objects: RawObjects, row: int, findings: list[Finding] | None, color: int
) -> Pixels:
    """Boxes as the label file has them, dashed: those that the findings name, or all of them where that is None."""
    places = {int(objects.places[i]): int(i) for i in np.flatnonzero(objects.image == row)}
    if findings is None:
        marked = [(i, "") for i in places.values()]
    else:
        named = (f for f in findings if f.name.endswith(("_box", "_category")) and f.id is not None)
        marked = [(places[f.id], f.name) for f in named if f.id in places]
    boxes = objects.boxes[[i for i, _ in marked]].reshape(-1, 4)
    boxes = boxes * (np.array([image.shape[1], image.shape[0]] * 2) if objects.relative else factor)
    drawable = np.isfinite(boxes).all(axis=1) & (np.abs(boxes) < 1e6).all(axis=1)
    captions = [name for (_, name), can_be_drawn in zip(marked, drawable) if can_be_drawn]
    return draw_boxes(image, _enlarged(boxes[drawable]), captions, np.full(len(captions), color), dashed=True)


def _enlarged(boxes: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, "M 4"]:
    """Boxes with ordered corners, at least 16 pixels wide and high, so that an empty box is visible."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    extra = (16 - (high - low)).clip(min=0) / 2
    return np.concatenate([low - extra, high + extra], axis=1)


def _row(count: Count, sizes: tuple[int, int, int]) -> list[Cell]:
    c = count
    return [c.split, c.images, c.used_images, c.without_objects, c.objects, c.used_objects, c.crowds, *sizes]


def _where(finding: Finding) -> str:
    number = f" #{finding.id}" if finding.id is not None else ""
    return f"{finding.split}/{finding.file}".strip("/") + number


def _of(numbers: Iterable[int]) -> str:
    return f"of {sum(numbers):,}"

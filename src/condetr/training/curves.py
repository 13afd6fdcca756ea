"""The curves of a training as one image: loss, AP and learning rate over the epochs."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import replacing


def draw_curves(file: Path, epochs: Sequence[dict[str, Any]], title: str) -> None:
    """Draw the curves into a PNG file; `epochs` are the journal's lines of the kind "epoch"."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    loss, ap, lr = figure.subplots(1, 3)
    numbers = [row["epoch"] for row in epochs]
    loss.plot(numbers, [row["loss"] for row in epochs], color="#222222", label="all layers")
    for term, color in (("classes", "#0072b2"), ("l1", "#d55e00"), ("giou", "#009e73")):
        loss.plot(numbers, [row[term] for row in epochs], color=color, label=f"{term}, last layer")
    loss.set(xlabel="epoch", title="loss", yscale="log")
    loss.legend(fontsize=7)
    evaluated = [row for row in epochs if row.get("ap") is not None]
    for name, color in (("ap50", "#56b4e9"), ("ap", "#0072b2"), ("ap75", "#e69f00")):
        ap.plot([row["epoch"] for row in evaluated], [row[name] for row in evaluated], color=color, label=name.upper())
    ap.set(xlabel="epoch", title="AP on valid", ylim=(0, 1))
    if evaluated:
        ap.legend(fontsize=7)
    lr.plot(numbers, [row["lr"] for row in epochs], color="#cc79a7")
    lr.set(xlabel="epoch", title="learning rate", yscale="log")
    for axes in (loss, ap, lr):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=9)
    with replacing(file) as part, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font may lack a letter of the folder's name
        figure.savefig(part, format="png", dpi=130)

"""An export, and a comparison of runtimes, as tables for a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from ..plural import counted
from ..reports.terminal import Column, FittedTable, printable
from .benchmark import Measured
from .export import Export


def summary(export: Export) -> RenderableType:
    """The images, how far their detections are from those of the weights, and AP where it was measured."""
    table = FittedTable(Column("image", kind="name"), Column("box"), Column("score"))
    for suffix, differences in (("", export.proof.alone), (", in a batch", export.proof.batched)):
        for one in differences:
            table.add_row(f"{one.image}{suffix}", f"{one.box:.1e}", f"{one.score:.1e}")
    tolerance, accuracy = export.proof.tolerance, export.proof.accuracy
    allowed = (
        "AP decides"
        if tolerance is None
        else f"allowed: box {tolerance.box:g} of the image side, score {tolerance.score:g}"
    )
    lines: list[RenderableType] = [table, Text(f"largest differences from the weights; {allowed}")]
    lines += [Text(f"AP {attempt}, the decoder and the heads in fp32") for attempt in export.proof.attempts]
    if accuracy is not None:
        where = f"{counted(accuracy.images, 'image')} of '{accuracy.split}'"
        lines.append(Text(f"AP {accuracy.exported:.4f}, of the weights {accuracy.weights:.4f}, on {where}"))
    size = sum(path.stat().st_size for path in _files(export)) / 1e6
    return Group(*lines, Text(printable(f"{export.file}: {size:.1f} MB; proof: {export.proof_file}")))


def _files(export: Export) -> list[Path]:
    """The exported file, and in OpenVINO's format the one with the weights."""
    return [export.file, *([export.file.with_suffix(".bin")] if export.file.suffix.lower() != ".onnx" else [])]


def benchmark_table(measured: Sequence[Measured]) -> RenderableType:
    """A row for each runtime and precision, why others were not measured, and which one is the fastest in fp32."""
    table = FittedTable(
        Column("runtime", kind="word"), Column("precision", kind="word"), Column("ms per image"), Column("CPU ms", 2),
        Column("images per second"), Column("AP", drop=1),
    )  # fmt: skip
    for one in measured:
        if one.latency is not None and one.cpu is not None and one.throughput is not None:
            ap = "–" if one.ap is None else f"{one.ap:.4f}"
            times = (f"{seconds * 1e3:.1f}" for seconds in (one.latency, one.cpu))
            table.add_row(one.name, one.precision, *times, f"{one.throughput:.1f}", ap)
    reasons = [Text(printable(f"{one.name} {one.precision}: {one.missing}")) for one in measured if one.missing]
    return Group(table, *reasons, *_fastest(measured))


def _fastest(measured: Sequence[Measured]) -> list[Text]:
    """The fastest of those whose detections are the same: none where there is no choice."""
    times = {one.name: one.latency for one in measured if one.precision == "fp32" and one.latency is not None}
    if len(times) < 2:
        return []
    best = min(times, key=lambda runtime: times[runtime])
    share = f", {times[best] / times['torch']:.2f} of torch's time" if best != "torch" and "torch" in times else ""
    return [
        Text(f"fastest in fp32, where all have the same detections: {best}{share}. bf16 changes scores by about 0.01")
    ]

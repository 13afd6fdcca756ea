"""Duplicate images: inside a split harmless, across splits a leak that makes every score too high."""

from pathlib import Path

from ..datasets.dataset import source
from ..datasets.defects import Finding
from .facts import ImageFacts


def find_duplicates(images: dict[str, list[tuple[Path, ImageFacts]]], findings: list[Finding]) -> set[int]:
    """Report duplicates within and across splits. Returns the rows of train to leave out: they are in valid or test.

    When more than half of train is also in valid or test, for example because one folder was given for both, nothing
    is left out: the user clearly wants to train on those images, and one finding warns about the scores.
    """
    groups: dict[str, list[tuple[str, int, Path]]] = {}
    for name, rows in images.items():
        for row, (path, facts) in enumerate(rows):
            if not facts.problem:
                groups.setdefault(facts.digest, []).append((name, row, path))
    leaks: list[tuple[int, Finding]] = []
    for group in (group for group in groups.values() if len(group) > 1):
        first: dict[str, Path] = {}
        for name, _, path in group:
            if name in first and first[name] != path:
                findings.append(Finding("duplicate_image", name, path, None, f"same as {first[name]}"))
            first.setdefault(name, path)
        held_out = next((name for name in ("valid", "test") if name in first), None)
        if held_out is not None:
            leaks += [
                (row, Finding("leak", "train", path, None, f"same as {first[held_out]} in {held_out}"))
                for name, row, path in group
                if name == "train"
            ]
        if "valid" in first and "test" in first:
            detail = f"same as {first['test']} in test"
            findings.append(Finding("leak_held_out", "valid", first["valid"], None, detail))
    _leaks_by_source(images, findings)
    sound = sum(not facts.problem for _, facts in images.get("train", []))
    if 2 * len(leaks) > sound:
        detail = f"{len(leaks)} of {sound} training images are also in valid or test"
        findings.append(Finding("splits_identical", "train", None, None, detail))
        return set()
    findings += [finding for _, finding in leaks]
    return {row for row, _ in leaks}


def _leaks_by_source(images: dict[str, list[tuple[Path, ImageFacts]]], findings: list[Finding]) -> None:
    """Roboflow's augmented copies carry the name of their source image; no source may be in train and held out."""
    train = {source(path) for path, _ in images.get("train", []) if ".rf." in path.name}
    broken = {path for rows in images.values() for path, facts in rows if facts.problem}
    digests = {facts.digest for path, facts in images.get("train", []) if path not in broken}
    for name in ("valid", "test"):
        for path, facts in images.get(name, []):
            if ".rf." in path.name and source(path) in train and facts.digest not in digests:
                findings.append(Finding("leak_by_source", name, path, None, f"train has a copy of {source(path)}"))

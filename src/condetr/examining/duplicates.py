"""The same image more than once: a nuisance inside a split, and across splits a score that flatters."""

from pathlib import Path

from ..datasets.dataset import source
from ..datasets.defects import Finding
from .inspection import Facts


def copies(images: dict[str, list[tuple[Path, Facts]]], findings: list[Finding]) -> set[int]:
    """Report copies over all splits; the answer is the rows of train to leave out, because they are also held out.

    Where more than half of train is held out, as when somebody names one folder for both, nothing is left out: the
    wish to learn those images is plain, and the finding says what the scores are then worth.
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
            if name in first:
                findings.append(Finding("duplicate_image", name, path.name, None, f"as {first[name].name}"))
            first.setdefault(name, path)
        held = next((name for name in ("valid", "test") if name in first), None)
        if held is not None:
            leaks += [
                (row, Finding("leak", "train", path.name, None, f"is {first[held].name} of {held}"))
                for name, row, path in group
                if name == "train"
            ]
        if "valid" in first and "test" in first:
            detail = f"is {first['test'].name} of test"
            findings.append(Finding("leak_held_out", "valid", first["valid"].name, None, detail))
    _by_source(images, {path for rows in images.values() for path, facts in rows if facts.problem}, findings)
    sound = sum(not facts.problem for _, facts in images.get("train", []))
    if 2 * len(leaks) > sound:
        detail = f"{len(leaks)} of {sound} training images are also in valid or test"
        findings.append(Finding("splits_identical", "train", "", None, detail))
        return set()
    findings += [finding for _, finding in leaks]
    return {row for row, _ in leaks}


def _by_source(images: dict[str, list[tuple[Path, Facts]]], broken: set[Path], findings: list[Finding]) -> None:
    """Roboflow's augmented copies carry their source's name; none may be on both sides."""
    train = {source(path) for path, _ in images.get("train", []) if ".rf." in path.name}
    digests = {facts.digest for path, facts in images.get("train", []) if path not in broken}
    for name in ("valid", "test"):
        for path, facts in images.get(name, []):
            if ".rf." in path.name and source(path) in train and facts.digest not in digests:
                findings.append(Finding("leak_by_source", name, path.name, None, f"train has a copy of {source(path)}"))

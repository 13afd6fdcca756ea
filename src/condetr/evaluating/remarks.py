"""What is odd about detections: those of a file whose scores are no probabilities or whose boxes have another form than
COCO's, and objects that a detector without non-maximum suppression detects twice."""

from pathlib import Path

import numpy as np

from ..checkpoint import own_config_file
from ..datasets.coco_boxes import are_fractions, other_form
from ..datasets.dataset import Split
from ..files import quoted
from ..metrics import BoxTable
from ..metrics.error_types import DUPLICATE, ErrorAnalysis
from ..metrics.matching import box_iou
from ..predicting.exported import is_exported
from ..predicting.predictor import Predictor
from ..predicting.selection import Nms, suppression
from ..predicting.tiling import Tiling

COSTLY = 0.02
"""The rise of AP50 without duplicates from which they are remarked upon: the least that non-maximum suppression gave
the data sets of docs/convergence.md that need it (0.021 to 0.053 on `test`), well above the 0.007 of the digits. After
a full training, nothing is gained, and correct detections are lost (Carion et al. 2020, section 4.2)."""
MOST, ENOUGH, SHARE = 1000, 10, 0.8  # detections that are looked at, least of them on objects, share of one class off
USUAL_NMS = 0.7  # of the recipes that have it


def unusual(table: BoxTable, split: Split) -> list[str]:
    """Sentences about detections on the images of a split; none about sound ones."""
    return [*_unusual_scores(table.detected_score), *_unusual_boxes(table, split), *_shifted_classes(table)]


def duplicates(predictor: Predictor, source: str | None, errors: ErrorAnalysis) -> list[str]:
    """A sentence on second detections of objects where they are costly and neither the weights nor the caller have
    non-maximum suppression; else none.

    `source` names the weights; None: they were given as the predictor.
    """
    cost = float(errors.gains[DUPLICATE])
    if not (predictor.nms is None and predictor.config.model.nms is None and cost >= COSTLY):
        return []
    return [f"objects are detected twice, which costs {cost:.3f} of AP50: {_way_out(source)}"]


def chosen_with(config_file: Path, own: float | None, nms: Nms, tiling: Tiling | None) -> str:
    """A sentence on thresholds that were saved in `config_file`, where they were chosen with another non-maximum
    suppression than the weights' `own`, or with tiles: predictions have neither unless told so. Else an empty text."""
    used = suppression(nms, own)
    ways = []
    if used != own:
        value, as_json = ("none", "null") if used is None else (f"{used:g}", f"{used:g}")
        ways.append(f'give `nms={value}` to predict, too, or set "nms": {as_json} under "model" in {config_file}')
    if tiling is not None:
        ways.append(f"give `tile={tiling.tile}` to predict, too")
    return f"they are for detections as evaluated here: {'; '.join(ways)}" if ways else ""


def _way_out(source: str | None) -> str:
    assignment, setting = f"`nms={USUAL_NMS}`", f'"nms": {USUAL_NMS} under "model" in'
    if source is None:
        return f"give {assignment} to Predictor.load, for non-maximum suppression"
    here = f"try {assignment}, non-maximum suppression, which predict takes, too"
    if is_exported(source):
        return f"{here}; to keep it, set {setting} the config.json of the weights, and export them again"
    own = own_config_file(source)
    if own is not None:
        return f"{here}; to keep it, set {setting} {own}"
    return f"{here}; to keep it, run `condetr convert {quoted(source)} DIR`, and set {setting} DIR/config.json"


def _unusual_scores(scores: np.ndarray) -> list[str]:
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        return []
    return [
        f"scores from {scores.min():.3g} to {scores.max():.3g}, not in [0, 1]: AP is exact, calibration is left out"
    ]


def _shifted_classes(table: BoxTable) -> list[str]:
    """A sentence where the best detections lie on objects whose class is nearly always the one before, or after."""
    best = np.argsort(-table.detected_score, kind="stable")[:MOST]
    objects = np.flatnonzero(table.is_object)
    objects = objects[np.argsort(table.truth_image[objects], kind="stable")]
    first, last = (
        np.searchsorted(table.truth_image[objects], table.detected_image[best], side) for side in ("left", "right")
    )
    differences = []
    for detection, a, b in zip(best.tolist(), first.tolist(), last.tolist()):
        near = objects[a:b]
        overlap = box_iou(table.detected_box[detection], table.truth_box[near], np.zeros(len(near), bool))
        if len(near) and overlap.max() >= 0.5:
            differences.append(int(table.detected_label[detection] - table.truth_label[near[overlap.argmax()]]))
    for shift, word in ((1, "larger"), (-1, "smaller")):
        if len(differences) >= ENOUGH and differences.count(shift) >= SHARE * len(differences):
            return [f"the category ids look one {word} than the labels': of {len(differences)} detections on objects, "
                    f"{differences.count(shift)} have the {'next' if shift > 0 else 'previous'} class"]  # fmt: skip
    return []


def _unusual_boxes(table: BoxTable, split: Split) -> list[str]:
    size_of = {sample.truth.image_id: sample.truth.size for sample in split}
    sizes = [size_of[id] for id in table.image_ids.tolist()]
    boxes = table.detected_box.copy()
    boxes[:, 2:] += boxes[:, :2]
    rows = [(image, 0, *box) for image, box in zip(table.detected_image.tolist(), boxes.tolist())]
    if are_fractions(rows):
        return ["all boxes of the detections lie between 0 and 1: write them in pixels"]
    if form := other_form(rows, sizes):
        return [f"many boxes exceed their images: they look like {form}; write x, y, width, height"]
    return []

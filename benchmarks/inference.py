"""Compares inference with transformers, same weights: one image, and four of different shapes in one batch.

    python -m benchmarks.inference [--rounds 7] [--threads 2] [--quick]

The model is Conditional DETR R50, executed as `Predictor` does. The notes below the table give the largest differences
between the predictions.
"""

import torch
from torch import Tensor

from benchmarks.pairing import HEADER, options, row, seconds
from benchmarks.peers import as_they_take, detector, transformers_of
from condetr.runtime.torch_runtime import TorchRuntime
from condetr.types import Images, Predictions

CASES = {
    "one image, 800 × 1066": ([(800, 1066)], 0.60),
    "one image, 640 × 640": ([(640, 640)], 0.60),
    "four images of 800 × 1066, 1066 × 800, 800 × 800 and 800 × 1200": (
        [(800, 1066), (1066, 800), (800, 800), (800, 1200)], 0.55,
    ),
}  # fmt: skip


def main() -> None:
    given = options(__doc__, rounds=7)
    ours, config = detector("conditional_detr_r50")
    theirs = transformers_of(ours, config, supervised=False)
    folded, bf16 = TorchRuntime.folded(ours, torch.float32), TorchRuntime.folded(ours, torch.bfloat16)
    print(HEADER)
    notes = []
    for name, (sizes, target) in CASES.items():
        images = Images.pad([torch.randn(3, h, w) for h, w in sizes])
        batch = as_they_take(images)
        with torch.inference_mode():
            time = seconds(
                {
                    "folded": lambda images=images: folded.run(images),
                    "transformers": lambda batch=batch: theirs(**batch),
                    "bf16": lambda images=images: bf16.run(images),
                    "plain": lambda images=images: ours.predict(images),
                },
                given.rounds,
            )
            found, plain = folded.run(images), ours.predict(images)
            alone = Images.pad([images.pixels[0, :, : sizes[0][0], : sizes[0][1]]])
            expected = theirs(**as_they_take(alone))
        print(row(name, time["folded"] * 1e3, time["transformers"] * 1e3, target))
        plain_ratio, bf16_ratio = time["plain"] / time["transformers"], time["bf16"] / time["transformers"]
        notes.append(
            f"{name}: without folding {plain_ratio:.2f}, in bf16 {bf16_ratio:.2f}. Largest differences to "
            f"the detector without folding {_gap(found, plain.logits, plain.boxes)}; to transformers' prediction "
            f"for the first image alone {_gap(found, expected.logits, expected.pred_boxes)}"
        )
    print("\n" + "\n".join(f"- {note}" for note in notes))


def _gap(found: Predictions, logits: Tensor, boxes: Tensor) -> str:
    """The largest differences, over the images that both have, in the last decoder layer."""
    off = [
        (ours[-1, : len(theirs.flatten(0, -3))] - theirs.flatten(0, -3)).abs().max().item()
        for ours, theirs in ((found.logits, logits), (found.boxes, boxes))
    ]
    return f"logits {off[0]:.1e}, boxes {off[1]:.1e}"


if __name__ == "__main__":
    main()

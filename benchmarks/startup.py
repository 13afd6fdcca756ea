"""Compares the time from starting a process to its first prediction with transformers; also of imports and `--help`.

    python -m benchmarks.startup [--rounds 5] [--threads 2] [--quick]

Every figure is the whole time of a separate process.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.pairing import HEADER, options, row, seconds
from benchmarks.peers import detector, transformers_of
from condetr.checkpoint import Weights, save
from condetr.interchange import coco_categories

OURS = """
import numpy, condetr
condetr.Predictor.load({folder!r}, device="cpu")(numpy.zeros((320, 320, 3), numpy.uint8))
"""
THEIRS = """
import torch
from benchmarks.peers import declare_operators
declare_operators()
from transformers import AutoModelForObjectDetection
model = AutoModelForObjectDetection.from_pretrained({folder!r}).eval()
with torch.inference_mode():
    model(pixel_values=torch.zeros(1, 3, 800, 800))
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    given = options(__doc__, rounds=5)
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = Path(scratch, "ours"), Path(scratch, "theirs")
        for folder in (ours, theirs):
            folder.mkdir()
        model, config = detector("conditional_detr_r50")
        save(ours, Weights(model, config, coco_categories(), None), "of a benchmark\n")
        transformers_of(model, config, supervised=False).save_pretrained(theirs)
        time = seconds(
            {
                "python": lambda: run(sys.executable, "-c", "pass"),
                "import": lambda: run(sys.executable, "-c", "import condetr"),
                "help": lambda: run(sys.executable, "-c", "from condetr.cli import main; main()", "--help"),
                "ours": lambda: run(sys.executable, "-c", OURS.format(folder=str(ours))),
                "theirs": lambda: run(sys.executable, "-c", THEIRS.format(folder=str(theirs))),
            },
            given.rounds,
        )
    print(HEADER)
    print(row("from start to first prediction", time["ours"], time["theirs"], 1, "s"))
    print(
        f"\n- python alone {time['python']:.2f} s, `import condetr` {time['import']:.2f} s, "
        f"`condetr --help` {time['help']:.2f} s"
    )


if __name__ == "__main__":
    main()

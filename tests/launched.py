"""What the tests of several processes start: a small training."""

import argparse
import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from condetr.errors import CondetrError
from condetr.training.train import train
from tests.small_run import settings


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fail-in", type=int)
    parser.add_argument("--features", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.fail_in is not None and os.environ["RANK"] == str(arguments.fail_in):
        from condetr.training.loop import Loop

        step = Loop.step

        def poisoned(self, parts, lr, number, stop):
            if number == 1:
                self.detector.heads.classes.register_forward_hook(lambda *_: torch.full_like(_[2], torch.nan))
            return step(self, parts, lr, number, stop)

        Loop.step = poisoned  # type: ignore[method-assign]
    features = {"train__epochs": 3, "train__feature_epochs": 0.67, "train__feature_variants": 1}
    changes = features if arguments.features else {}
    try:
        train(
            arguments.data, settings(**changes), out=arguments.out, resume=True, device="cpu",
            progress=lambda event: print(type(event).__name__),
        )  # fmt: skip
    except CondetrError as error:
        if not error.silent:
            print(error, file=sys.stderr)
        sys.exit(error.status)


if __name__ == "__main__":
    main()

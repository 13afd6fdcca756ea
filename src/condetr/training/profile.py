"""`train --profile`: the share of each part of the detector, and of what surrounds it, in the time of an epoch.

Hooks of PyTorch mark where the forward pass enters and leaves a part, and where the gradient of its output is complete
in the backward pass. Nothing of what is computed changes.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..engine.stopwatch import Stopwatch, measured_by, running, switch
from ..model.detector import Detector
from .progress import Profiled, Progress

WARM = 3  # steps before the measurement begins: the first ones of a process are slower


class Profile:
    """Measures the epochs of each kind up to the first that is evaluated, and reports their mean.

    Of the epochs of the run, one in `evaluate_every` is evaluated.
    """

    def __init__(self, detector: Detector, device: torch.device, evaluate_every: int, report: Progress) -> None:
        self.device, self.evaluate_every, self.report = device, evaluate_every, report
        self.watches: dict[str, Stopwatch] = {}
        self.epochs: dict[str, int] = defaultdict(int)
        self.steps: dict[str, int] = defaultdict(int)
        self.reported: set[str] = set()
        _mark(detector)

    @contextmanager
    def epoch(self, kind: str, steps: int) -> Iterator[None]:
        """The block is an epoch of `steps` steps."""
        if kind in self.reported:
            yield
            return
        watch = self.watches.setdefault(kind, Stopwatch(synchronise=self._synchronise))
        with measured_by(watch):
            yield
        self.epochs[kind] += 1
        if "evaluation" in watch.seconds:
            self._report(kind, steps)

    def step(self, kind: str) -> None:
        """A step has ended."""
        if kind in self.reported:
            return
        self.steps[kind] += 1
        if self.steps[kind] == WARM:
            self.watches[kind].seconds.clear()

    def close(self, steps: int) -> None:
        """Report the kinds of epochs that were never evaluated."""
        for kind in self.watches.keys() - self.reported:
            self._report(kind, steps)

    def _report(self, kind: str, steps: int) -> None:
        self.reported.add(kind)
        seconds = dict(self.watches[kind].seconds)
        measured = self.steps[kind]
        measured -= WARM if measured >= WARM else 0
        epochs = {"evaluation": self.evaluate_every, "files": max(1, self.epochs[kind])}
        in_epoch = {part: seconds.pop(part) / number for part, number in epochs.items() if part in seconds}
        in_step = {part: value / max(1, measured) for part, value in seconds.items()}
        self.report(Profiled(kind, measured, steps, in_step, in_epoch))

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _mark(detector: Detector) -> None:
    """Switch the part that is timed where the passes through the detector enter another part.

    Only in training: a copy for evaluation keeps the hooks.
    """

    def enter(part: str) -> Any:
        def hook(module: nn.Module, *_: Any) -> None:
            if module.training:
                switch(part)

        return hook

    def leave(part: str, backward: str, tensors: Any) -> Any:
        def hook(module: nn.Module, _: Any, output: Any) -> None:
            if not module.training:
                return
            switch(part)
            watch = running()
            if watch is None:
                return
            for tensor in tensors(output):
                if isinstance(tensor, Tensor) and tensor.requires_grad:
                    tensor.register_hook(partial(_switched, watch, backward))

        return hook

    detector.backbone.register_forward_pre_hook(enter("backbone"))
    detector.backbone.register_forward_hook(leave("encoder", "backbone backward", lambda features: features))
    detector.encoder.register_forward_hook(leave("encoder", "encoder backward", lambda tokens: [tokens.content]))
    detector.decoder.register_forward_pre_hook(enter("decoder"))
    detector.heads.register_forward_hook(leave("loss", "decoder backward", lambda p: [p.logits, p.boxes]))


def _switched(watch: Stopwatch, part: str, gradient: Tensor) -> None:
    """As a hook of a gradient, which it leaves as it is. On a GPU, another thread runs the backward pass."""
    watch.switch(part)

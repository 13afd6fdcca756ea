"""One optimizer step after the other: the arithmetic of training, knowing nothing of files, screens or schedules."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from ..build import build_learner, build_loss
from ..config import Config
from ..engine.distributed import Processes
from ..engine.ema import Average
from ..engine.optimizer import adamw, clip, set_rate
from ..engine.precision import Precision
from ..errors import CondetrError
from ..images.batch import Batch
from ..model.detector import Detector


class LossError(CondetrError):
    """A loss or a gradient that is no number."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Of one step, over all processes: the loss, the last layer's terms, the gradients' norm before clipping, whether
    the weights were changed (fp16 leaves steps out), and how many processes want to stop."""

    loss: float
    classes: float
    l1: float
    giou: float
    norm: float
    changed: bool
    stop: int


class Loop:
    """A detector, its optimizer and its average, and how a step changes them.

    All randomness of a forward pass is drawn anew from (seed, step, part of the step), so that it does not depend on
    what ran before, and a resumed run needs no random state.
    """

    def __init__(
        self, detector: Detector, config: Config, device: torch.device, precision: Precision, processes: Processes
    ) -> None:
        self.detector: Detector = detector.to(device)
        self.train, self.device, self.precision, self.processes = config.train, device, precision, processes
        loss, self.weights = build_loss(config)
        self.learner = build_learner(self.detector, loss, config.train)
        self.optimizer = adamw(self.learner, config.train)
        self.average = Average(self.detector, config.train.ema) if config.train.ema else None
        self.parameters = [p for p in self.learner.parameters() if p.requires_grad]

    @property
    def answering(self) -> Detector:
        """The weights to evaluate and to keep: the average where there is one."""
        return self.average.model if self.average is not None else self.detector

    def step(self, parts: Sequence[Batch], rate: float, number: int, stop: bool) -> StepResult:
        """Step `number` of the run, on this process's parts of it.

        Raises LossError, before any weight has changed, when the loss or a gradient is no number.
        """
        self.learner.train()
        self.optimizer.zero_grad(set_to_none=True)
        terms = torch.zeros(0, device=self.device)
        for i, part in enumerate(parts):
            torch.manual_seed(_seed(self.train.seed, number, self.processes.part(i)))
            own = self._backward(part)
            terms = own if i == 0 else terms + own
        wish = torch.tensor([float(stop)], device=self.device)
        mine = terms.clone()
        self.processes.add([*(self._gradient(p) for p in self.parameters), terms, wish])
        usable = self.precision.ready(self.optimizer)
        norm = clip(self.parameters, self.train.clip)
        *values, total, wishes = torch.cat([terms, norm[None], wish]).tolist()
        self._check(values, total if usable else 0.0, mine, parts, number)
        if usable:
            set_rate(self.optimizer, rate)
            self.optimizer.step()
            if self.average is not None:
                self.average.update(self.detector, number)
        layers = len(values) // 3
        classes, l1, giou = (values[k * layers : (k + 1) * layers] for k in range(3))
        weight = self.weights
        loss = weight.classes * sum(classes) + weight.l1 * sum(l1) + weight.giou * sum(giou)
        return StepResult(loss, classes[-1], l1[-1], giou[-1], total if usable else 0.0, usable, int(wishes))

    def _backward(self, part: Batch) -> Tensor:
        """Add a part's gradient; returns its loss terms of all layers in a row."""
        part = part.to(self.device)
        with self.precision.forward():
            losses = self.learner(part.images, part.targets, part.object_counts)
        self.precision.backward(self.weights.total(losses))
        return torch.cat(losses.values()).detach()

    def rehearse(self, part: Batch) -> None:
        """Do the work of a step on one part and forget it: for measuring how long it takes."""
        self.learner.train()
        self._backward(part).tolist()
        self.optimizer.zero_grad(set_to_none=True)

    def _gradient(self, parameter: Tensor) -> Tensor:
        """The gradient, zero where none has come: the processes add up the same tensors, whatever they saw."""
        if parameter.grad is None and self.processes.world > 1:
            parameter.grad = torch.zeros_like(parameter)
        return parameter.grad if parameter.grad is not None else parameter.new_zeros(0)

    def _check(self, values: list[float], norm: float, mine: Tensor, parts: Sequence[Batch], number: int) -> None:
        if all(isfinite(value) for value in (*values, norm)):
            return
        layers = len(values) // 3
        names = [f"{term} of layer {i + 1}" for term in ("classes", "l1", "giou") for i in range(layers)]
        bad = next((name for name, value in zip(names, values) if not isfinite(value)), "gradient")
        own = not all(isfinite(value) for value in mine.tolist()) or bad == "gradient"
        seen = [sample.path.name for part in parts for sample in part.samples]
        where = f"images {', '.join(seen)}" if own else "images of another process"
        raise LossError(f"step {number + 1}: the {bad} is no number ({where})")


def _seed(seed: int, step: int, part: int) -> int:
    """One number from three; odd multipliers keep near ones apart (Steele et al. 2014, SplitMix)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + part * 0x94D049BB133111EB) % 2**64
    return (mixed ^ (mixed >> 31)) % 2**63

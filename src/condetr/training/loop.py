"""The arithmetic of one optimizer step; without files, terminal or schedule."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from ..build import build_decay, build_learner, build_loss, build_optimizer
from ..config import Config
from ..engine.distributed import Processes
from ..engine.ema import Average
from ..engine.memory import is_out_of_memory
from ..engine.optimizer import clip, set_lr
from ..engine.precision import Precision
from ..engine.stopwatch import OTHER, switch, timed
from ..errors import CondetrError
from ..images.batch import AnyBatch, FeatureBatch, divided
from ..model.detector import Detector
from ..types import OptimizerStep


class LossError(CondetrError):
    """A loss or a gradient that is NaN or infinite."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step over all processes: the loss, the last layer's terms, the gradient norm before clipping, whether the
    weights have changed (fp16 skips steps), and how many processes have received a signal to stop."""

    loss: float
    classes: float
    l1: float
    giou: float
    norm: float
    changed: bool
    stop: int


class Loop:
    """A detector, its optimizer and its moving average, and how a step changes them. The run has `steps` steps.

    The random generator is seeded from (seed, step, micro-batch) before each forward pass, so that a step does not
    depend on what ran before it, and a resumed run needs no random state.
    """

    def __init__(
        self, detector: Detector, config: Config, steps: int, device: torch.device, precision: Precision,
        processes: Processes,
    ) -> None:  # fmt: skip
        self.detector: Detector = detector.to(device)
        self.train, self.device, self.precision, self.processes = config.train, device, precision, processes
        self.steps = steps
        self.most = sys.maxsize  # images in a forward pass: fewer after the device has run out of memory
        loss, self.weights = build_loss(config)
        self.learner = build_learner(self.detector, loss, config.train)
        self.optimizer = build_optimizer(self.learner, config.train)
        self.average = Average(self.detector, build_decay(config.train, steps)) if config.train.ema else None
        self.parameters = [p for p in self.learner.parameters() if p.requires_grad]
        in_backbone = {id(p) for p in self.detector.backbone.parameters()}
        self.parameters_on_features = [p for p in self.parameters if id(p) not in in_backbone]

    @property
    def eval_model(self) -> Detector:
        """The weights to evaluate and to save: the moving average where there is one."""
        return self.average.model if self.average is not None else self.detector

    def step(self, parts: Sequence[AnyBatch], lr: float, number: int, stop: bool) -> StepResult:
        """Take step `number` of the run, from 0, on this process's micro-batches; with `stop`, all processes stop.

        On features, the backbone stays as it is, and its weights do not decay. Raises LossError, before any weight has
        changed, when the loss or a gradient is NaN or infinite.
        """
        self.learner.train()
        terms = self._accumulate(parts, number)
        switch("optimizer")
        stops = torch.tensor([float(stop)], device=self.device)
        local_terms = terms.clone()
        parameters = self.parameters_on_features if isinstance(parts[0], FeatureBatch) else self.parameters
        self.processes.add([*(self._gradient(p) for p in parameters), terms, stops])
        self.precision.unscale(self.optimizer)
        norm = clip(parameters, self.train.clip)
        *values, total, stopping = torch.cat([terms, norm[None], stops]).tolist()
        overflow = not isfinite(total) and self.precision.may_overflow
        total = 0.0 if overflow else total
        self._check(values, total, local_terms, parts, number)
        set_lr(self.optimizer, lr)
        changed = self.precision.step(self.optimizer)
        if changed and self.average is not None:
            switch("average")
            self.average.update(self.detector, number)
        switch(OTHER)
        layers = len(values) // 3
        classes, l1, giou = (values[k * layers : (k + 1) * layers] for k in range(3))
        weight = self.weights
        loss = weight.classes * sum(classes) + weight.l1 * sum(l1) + weight.giou * sum(giou)
        return StepResult(loss, classes[-1], l1[-1], giou[-1], total, changed, int(stopping))

    def _accumulate(self, parts: Sequence[AnyBatch], number: int) -> Tensor:
        """The gradients of this process's micro-batches, and the sum of their loss terms.

        Where the device runs out of memory, all of them are computed again with half as many images at a time, and the
        following steps too. Raises CondetrError where a single image does not fit.
        """
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                return self._sum([one for part in parts for one in divided(part, self.most)], number)
            except (RuntimeError, MemoryError) as error:
                most = min(self.most, max(len(part) for part in parts))
                if not is_out_of_memory(error):
                    raise
                if most == 1:
                    raise CondetrError(
                        f"{self.device}: out of memory with a single image. Free some memory and run it again with "
                        "`resume=True`, or train with a smaller `size` or `precision='bf16'`"
                    ) from None
            self.most = most // 2
            if self.device.type == "cuda":
                torch.cuda.empty_cache()  # blocks of the sizes that did not fit

    def _sum(self, parts: Sequence[AnyBatch], number: int) -> Tensor:
        terms = torch.zeros(0, device=self.device)
        for i, part in enumerate(parts):
            torch.manual_seed(_seed(self.train.seed, number, self.processes.part(i)))
            own = self._backward(part, number / self.steps)
            terms = own if i == 0 else terms + own
        return terms

    def _backward(self, part: AnyBatch, progress: float) -> Tensor:
        """Accumulate the gradients of a micro-batch; returns its loss terms: classes, l1 and giou of all layers."""
        part = part.to(self.device)
        with timed("reading"):
            images = part.images
        with self.precision.forward(), timed("encoder"):
            losses = self.learner(images, part.targets, OptimizerStep(part.object_counts, progress))
        with timed("loss backward"):
            self.precision.backward(self.weights.total(losses))
        return torch.cat(losses.values()).detach()

    def dry_run(self, part: AnyBatch) -> None:
        """Run forward and backward on a micro-batch and discard the gradients: to measure how long a step takes, and
        how many images at a time fit into memory beside the optimizer's moments."""
        self.learner.train()
        moments = [torch.empty_like(p) for p in self.parameters for _ in range(2)]
        self._accumulate([part], 0).tolist()
        self.optimizer.zero_grad(set_to_none=True)
        del moments

    def _gradient(self, parameter: Tensor) -> Tensor:
        """The gradient, zero where there is none, so that all processes sum the same tensors."""
        if parameter.grad is None and self.processes.world > 1:
            parameter.grad = torch.zeros_like(parameter)
        return parameter.grad if parameter.grad is not None else parameter.new_zeros(0)

    def _check(self, values: list[float], norm: float, local: Tensor, parts: Sequence[AnyBatch], number: int) -> None:
        if all(isfinite(value) for value in (*values, norm)):
            return
        layers = len(values) // 3
        names = [f"{term} loss of layer {i + 1}" for term in ("classes", "l1", "giou") for i in range(layers)]
        bad = next((name for name, value in zip(names, values) if not isfinite(value)), "gradient")
        here = not all(isfinite(value) for value in local.tolist()) or bad == "gradient"
        names = [sample.path.name for part in parts for sample in part.samples]
        where = f"images {', '.join(names)}" if here else "images of another process"
        raise LossError(f"step {number + 1}: the {bad} is NaN or infinite ({where})")


def _seed(seed: int, step: int, part: int) -> int:
    """Hash three numbers into one seed, with the odd multipliers of SplitMix (Steele et al. 2014)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + part * 0x94D049BB133111EB) % 2**64
    return (mixed ^ (mixed >> 31)) % 2**63

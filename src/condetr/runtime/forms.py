"""The forms in which a detector answers: as it is, as its inference form, or translated by torch's compiler.

The inference form is the same model and the same weights. Encoder, spatial queries and heads stay the detector's own
code, whichever variant it is. What weights alone decide is settled beforehand (`settled`), the leaves are exchanged for
faster ones (`folded`), and on a CPU each image of a batch is looked at alone, so that nobody computes padding.
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..model.backbone import ExactPadding
from ..model.detector import Detector
from ..types import Images, Predictions
from .folded import faster
from .settled import settle


class Form(nn.Module):
    """Answers as the detector does, through `look`: what it says of one batch, in whatever precision."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.apart, self.look = isinstance(detector.backbone.rule, ExactPadding), detector.predict

    @torch.inference_mode()
    def run(self, images: Images) -> Predictions:
        """What the last layer says (S = 1), always in float32."""
        alone = self.apart and images.pixels.device.type == "cpu"
        answers = [self.look(part) for part in (_apart(images) if alone else [images])]
        return Predictions(
            logits=torch.cat([answer.logits.float() for answer in answers], dim=1),
            boxes=torch.cat([answer.boxes for answer in answers], dim=1),
        )


class PlainForm(Form):
    """The detector itself, with whatever weights it has when it is asked."""


class InferenceForm(Form):
    """Of the weights the detector has when this is made, in a tenth of a second. Where they change, make it anew: some
    are shared with the detector, and what was computed of them is not.

    `precision` is what weights and activations are held in: float32 gives the detector's own answers, bfloat16 takes
    half the time on processors that have it and moves logits by some hundredths. Object queries, reference points and
    heads stay in float32: they cost little, and boxes would otherwise be rounded to some 1/250 of themselves.
    """

    def __init__(self, detector: Detector, precision: torch.dtype) -> None:
        super().__init__(detector)
        settled = settle(detector)
        with torch.no_grad():
            form = cast(Any, faster(settled).eval().to(precision))
            if precision != torch.float32:
                for name in ("queries", "reference", "heads"):
                    setattr(form, name, faster(getattr(settled, name)).eval())
                form.decoder, form.heads = _Rounding(form.decoder, precision), _Rounding(form.heads, torch.float32)
            self.detector = cast(Detector, form)
        self.look, self.precision = self.detector.predict, precision


class _Rounding(nn.Module):
    """A part whose first argument comes in another precision than its own."""

    def __init__(self, part: nn.Module, precision: torch.dtype) -> None:
        super().__init__()
        self.part, self.precision = part, precision

    def forward(self, first: Tensor, *others: Any) -> Any:
        return self.part(first.to(self.precision), *others)


class CompiledForm(InferenceForm):
    """The inference form as torch's compiler translates it when it is first asked, once for images of most sizes.

    That takes minutes on a CPU, and there needs a C++ compiler.
    """

    def __init__(self, detector: Detector, precision: torch.dtype) -> None:
        super().__init__(detector, precision)
        plain = self.look

        def look(pixels: Tensor, padding: Tensor, ragged: bool) -> tuple[Tensor, Tensor]:
            found = plain(Images(pixels, padding, ragged))
            return found.logits, found.boxes

        compiled = torch.compile(look, dynamic=True)
        self.look = lambda images: Predictions(*compiled(images.pixels, images.padding, images.ragged))


def _apart(images: Images) -> Iterator[Images]:
    """Each image as a batch of its own, without its padding: a CPU gains nothing from a batch but larger tensors."""
    for pixels, padding in zip(images.pixels, images.padding):
        h, w = int((~padding[:, 0]).sum()), int((~padding[0]).sum())
        yield Images(pixels[None, :, :h, :w], padding[None, :h, :w], ragged=False)

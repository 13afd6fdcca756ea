"""Where queries look: attention maps of a detector's ordinary forward pass, for the few queries one asks about.

The forward pass keeps its fast attention, which never holds a map. Hooks note what each attention was given, and the
maps of the chosen queries are computed again from that: all queries of six layers would be a hundred times the work.

Of the conditional cross-attention each map comes in three parts, as in the paper's figures 1 and 4: softmax(p_q.p_k)
alone, softmax(c_q.c_k) alone, and the softmax of the sum, which is what the layer uses. DETR has only the last.
"""

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..model.attention import AdditiveAttention, ConditionalCrossAttention, split_heads
from ..model.detector import Detector
from ..model.tokens import Tokens
from ..shapes import Bool, Float, Int
from ..types import Images, Predictions

Part = Literal["spatial", "content", "combined"]
Queries = Float[Tensor, "B N D"]
Scores = Float[Tensor, "B H N L"]


@dataclass(frozen=True, slots=True)
class Gaze:
    """Attention maps of chosen queries, one for each part and head; over an image's cells each sums to one.

    Padding gets exactly zero. `parts` names the first axis: spatial, content and combined, or combined alone (DETR).
    """

    parts: tuple[Part, ...]
    maps: Float[Tensor, "P B H N h w"]

    def part(self, name: Part) -> Float[Tensor, "B H N h w"]:
        return self.maps[self.parts.index(name)]


@dataclass(frozen=True, slots=True)
class Call:
    """One attention and what it was given, by the names of its parameters."""

    attention: AdditiveAttention | ConditionalCrossAttention
    given: dict[str, Any]

    def scores(self, chosen: Int[Tensor, "B N"]) -> tuple[Scores, ...]:
        """The scaled scores of chosen queries before the softmax: spatial, content and their sum; or all in one."""
        memory: Tokens = self.given["memory"]
        if isinstance(self.attention, ConditionalCrossAttention):
            content, spatial, object_query = self._of("content", "spatial", "object_query", chosen=chosen)
            return _conditional_scores(self.attention, content, spatial, object_query, memory)
        x, position = self._of("x", "position", chosen=chosen)
        return (_additive_scores(self.attention, x, position, memory),)

    def _of(self, *names: str, chosen: Int[Tensor, "B N"]) -> Iterator[Queries]:
        """What was given under these names, for the chosen queries alone."""
        return (x.gather(1, chosen[..., None].expand(-1, -1, x.shape[-1])) for x in (self.given[n] for n in names))


def _conditional_scores(
    attention: ConditionalCrossAttention, content: Queries, spatial: Queries, object_query: Queries, memory: Tokens
) -> tuple[Scores, Scores, Scores]:
    q, k = attention.halves(content, spatial, object_query, memory)
    scale = (2 * q.content.shape[-1]) ** -0.5  # of the sum, whose heads are both halves wide
    spatial_scores = q.spatial.float() @ k.spatial.float().mT * scale
    content_scores = q.content.float() @ k.content.float().mT * scale
    return spatial_scores, content_scores, spatial_scores + content_scores


def _additive_scores(attention: AdditiveAttention, x: Queries, position: Queries, memory: Tokens) -> Scores:
    q = split_heads(attention.query(x + position), attention.heads).float()
    k = split_heads(attention.key(memory.content + memory.position), attention.heads).float()
    return q @ k.mT * q.shape[-1] ** -0.5


@dataclass(frozen=True, slots=True)
class Witnessed:
    """One forward pass: its answer, and what its attentions were given.

    `reference` is each query's reference point in [0, 1], relative to the unpadded image as boxes are.
    """

    predictions: Predictions
    reference: Float[Tensor, "B N 2"]
    padding: Bool[Tensor, "B h w"]
    cross: tuple[Call, ...]
    encoder: tuple[Call, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the cross-attentions' maps come in."""
        conditional = isinstance(self.cross[0].attention, ConditionalCrossAttention)
        return ("spatial", "content", "combined") if conditional else ("combined",)

    def gaze(self, layer: int, queries: Int[Tensor, "B N"]) -> Gaze:
        """Where queries look in the cross-attention of a decoder layer; -1 is the last."""
        return Gaze(self.parts, self._maps(self.cross[layer], queries))

    def self_attention(self, layer: int, cells: Int[Tensor, "B N"]) -> Float[Tensor, "B H N h w"]:
        """Where cells (row x w + column) look in the self-attention of an encoder layer."""
        return self._maps(self.encoder[layer], cells)[0]

    @torch.no_grad()
    def _maps(self, call: Call, chosen: Int[Tensor, "B N"]) -> Float[Tensor, "P B H N h w"]:
        hidden = self.padding.flatten(1)[:, None, None]
        maps = [scores.masked_fill(hidden, -torch.inf).softmax(-1) for scores in call.scores(chosen)]
        return torch.stack(maps).unflatten(-1, self.padding.shape[1:])


@torch.no_grad()
def witness(detector: Detector, images: Images) -> Witnessed:
    """Run a detector in evaluation mode as always, and remember what its attentions were given."""
    decoder: Any = detector.decoder
    encoder: Any = detector.encoder
    cross = [layer.cross_attention for layer in decoder.layers]
    within = [layer.attention for layer in encoder.layers]
    with ExitStack() as stack:
        features = stack.enter_context(_noted(detector.backbone))
        reference = stack.enter_context(_noted(detector.reference))
        calls = [stack.enter_context(_noted(module)) for module in (*cross, *within)]
        predictions = detector(images)
    given = [Call(module, note.given) for module, note in zip((*cross, *within), calls)]
    return Witnessed(
        predictions=predictions,
        reference=reference.answer.float().sigmoid(),
        padding=features.answer[1],
        cross=tuple(given[: len(cross)]),
        encoder=tuple(given[len(cross) :]),
    )


@dataclass(slots=True)
class _Note:
    given: dict[str, Any]
    answer: Any = None


@contextmanager
def _noted(module: nn.Module) -> Iterator[_Note]:
    """Within the block, the module's last call is noted down; after it, however it ends, the module is as before."""
    note = _Note({})
    signature = inspect.signature(module.forward)

    def write(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        note.given, note.answer = dict(signature.bind(*args, **kwargs).arguments), answer

    handle = module.register_forward_hook(write, with_kwargs=True)
    try:
        yield note
    finally:
        handle.remove()

"""Attention maps of selected queries, computed from the inputs that hooks record during an ordinary forward pass.

The forward pass keeps its fast attention, which never stores a map. The maps of the selected queries are computed
afterwards, because those of all queries in all layers would take far more time and memory.

Each map of the conditional cross-attention has three parts, as in figures 1 and 4 of the Conditional DETR paper:
softmax(p_q.p_k) alone, softmax(c_q.c_k) alone, and the softmax of their sum, which is what the layer uses. DETR's
cross-attention has only the last.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..model.attention import (
    AdditiveAttention,
    ConditionalCrossAttention,
    MultiScaleCrossAttention,
    split_heads,
)
from ..model.box_bias import AxialScores
from ..model.detector import Detector
from ..model.tokens import Tokens
from ..shapes import Bool, Float, Int
from ..types import Images, Predictions

Part = Literal["spatial", "content", "combined"]
Queries = Float[Tensor, "B N D"]
Scores = Float[Tensor, "B H N L"]


@dataclass(frozen=True, slots=True)
class AttentionMaps:
    """Attention maps of selected queries, one for each part and head; each sums to one over the cells of its image.

    Padding has exactly zero. `parts` names the first axis: spatial, content and combined, or combined alone (DETR).
    """

    parts: tuple[Part, ...]
    maps: Float[Tensor, "P B H N h w"]

    def part(self, name: Part) -> Float[Tensor, "B H N h w"]:
        return self.maps[self.parts.index(name)]


@dataclass(frozen=True, slots=True)
class AttentionCall:
    """One attention module and the inputs of its last call, by parameter name."""

    attention: AdditiveAttention | ConditionalCrossAttention
    inputs: dict[str, Any]

    def scores(self, selected: Int[Tensor, "B N"]) -> tuple[Scores, ...]:
        """The scaled scores of the selected queries before the softmax: spatial, content and their sum; or one."""
        memory: Tokens = self.inputs["memory"]
        if isinstance(self.attention, ConditionalCrossAttention):
            content, spatial, object_query = self._inputs("content", "spatial", "object_query", selected=selected)
            bias: AxialScores | None = self.inputs["bias"]
            if bias is None:
                return _conditional_scores(self.attention, content, spatial, object_query, memory)
            return _biased_scores(self.attention, content, spatial, object_query, memory, _selected(bias, selected))
        x, position = self._inputs("x", "position", selected=selected)
        return (_additive_scores(self.attention, x, position, memory),)

    @property
    def heads(self) -> int:
        return self.attention.heads

    @property
    def parts(self) -> tuple[Part, ...]:
        """What `maps` returns maps of."""
        conditional = isinstance(self.attention, ConditionalCrossAttention)
        return ("spatial", "content", "combined") if conditional else ("combined",)

    @property
    def padding(self) -> Bool[Tensor, "B h w"]:
        """Which of the cells that the queries attend to are padding."""
        memory: Tokens = self.inputs["memory"]
        return memory.padding.unflatten(1, memory.grid)

    @torch.no_grad()
    def maps(self, selected: Int[Tensor, "B N"]) -> Float[Tensor, "P B H N h w"]:
        """The maps of the selected queries."""
        padding = self.padding
        outside = padding.flatten(1)[:, None, None]
        maps = [scores.masked_fill(outside, -torch.inf).softmax(-1) for scores in self.scores(selected)]
        return torch.stack(maps).unflatten(-1, padding.shape[1:])

    def _inputs(self, *names: str, selected: Int[Tensor, "B N"]) -> Iterator[Queries]:
        """The inputs of these names, reduced to the selected queries."""
        for name in names:
            x = self.inputs[name]
            yield x.gather(1, selected[..., None].expand(-1, -1, x.shape[-1]))


@dataclass(frozen=True, slots=True)
class MultiScaleCall:
    """The calls of the two halves of the heads. Maps are on the finer grid, where each coarse cell is four."""

    coarse: AttentionCall
    fine: AttentionCall

    @property
    def heads(self) -> int:
        return self.coarse.heads + self.fine.heads

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.fine.parts

    @property
    def padding(self) -> Bool[Tensor, "B h w"]:
        return self.fine.padding

    def maps(self, selected: Int[Tensor, "B N"]) -> Float[Tensor, "P B H N h w"]:
        padding = self.padding
        coarse = enlarged(self.coarse.maps(selected), padding.shape[1:]).masked_fill(padding[:, None, None], 0)
        return torch.cat([coarse / coarse.sum((-2, -1), keepdim=True), self.fine.maps(selected)], dim=2)


def enlarged(maps: Float[Tensor, "*any _h _w"], grid: Sequence[int]) -> Float[Tensor, "*any _r _c"]:
    """Maps on a grid whose cells may have half the side; each still sums to one."""
    rows, columns = grid
    if maps.shape[-2:] == (rows, columns):
        return maps
    maps = maps.repeat_interleave(2, -2)[..., :rows, :].repeat_interleave(2, -1)[..., :columns]
    return maps / maps.sum((-2, -1), keepdim=True)


CrossCall = AttentionCall | MultiScaleCall


def _conditional_scores(
    attention: ConditionalCrossAttention, content: Queries, spatial: Queries, object_query: Queries, memory: Tokens
) -> tuple[Scores, Scores, Scores]:
    q, k = attention.halves(content, spatial, object_query, memory)
    scale = (2 * q.content.shape[-1]) ** -0.5  # of the sum, whose heads are as wide as both halves
    spatial_scores = q.spatial.float() @ k.spatial.float().mT * scale
    content_scores = q.content.float() @ k.content.float().mT * scale
    return spatial_scores, content_scores, spatial_scores + content_scores


def _biased_scores(
    attention: ConditionalCrossAttention,
    content: Queries,
    spatial: Queries,
    object_query: Queries,
    memory: Tokens,
    bias: AxialScores,
) -> tuple[Scores, Scores, Scores]:
    """A bias around a box belongs to the spatial part."""
    spatial_scores = attention.spatial_scores(spatial, memory, bias).of_cells().float()
    q, k = attention.content_halves(content, object_query, memory)
    content_scores = q.float() @ k.float().mT * (2 * q.shape[-1]) ** -0.5
    return spatial_scores, content_scores, spatial_scores + content_scores


def _selected(scores: AxialScores, queries: Int[Tensor, "B N"]) -> AxialScores:
    at = queries[:, None, :, None]
    parts = (part.gather(2, at.expand(-1, part.shape[1], -1, part.shape[3])) for part in (scores.rows, scores.columns))
    return AxialScores(*parts)


def _additive_scores(attention: AdditiveAttention, x: Queries, position: Queries, memory: Tokens) -> Scores:
    q = split_heads(attention.query(x + position), attention.heads).float()
    k = split_heads(attention.key(memory.content + memory.position), attention.heads).float()
    return q @ k.mT * q.shape[-1] ** -0.5


@dataclass(frozen=True, slots=True)
class AttentionRecord:
    """One forward pass: its predictions and the inputs of every attention module.

    `references` are the reference points from which each decoder layer started, in [0, 1], relative to the unpadded
    image, as boxes are; of a decoder that refines boxes, their centres. `cross` are the decoder's cross-attentions,
    `encoder` the encoder's self-attentions, one for each layer.
    """

    predictions: Predictions
    references: Float[Tensor, "S B N 2"]
    cross: tuple[CrossCall, ...]
    encoder: tuple[AttentionCall, ...]

    @property
    def padding(self) -> Bool[Tensor, "B h w"]:
        """Which cells of the cross-attention's maps are padding."""
        return self.cross[0].padding

    @property
    def encoder_grid(self) -> tuple[int, int]:
        """Rows and columns of the encoder's maps, which may be coarser."""
        grid: tuple[int, int] = self.encoder[0].inputs["memory"].grid
        return grid

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that the cross-attention's maps have."""
        return self.cross[0].parts

    def cross_attention(self, layer: int, queries: Int[Tensor, "B N"]) -> AttentionMaps:
        """The maps of queries in the cross-attention of a decoder layer; -1 is the last."""
        return AttentionMaps(self.parts, self.cross[layer].maps(queries))

    def self_attention(self, layer: int, cells: Int[Tensor, "B N"]) -> Float[Tensor, "B H N h w"]:
        """The maps of cells (row x w + column) in the self-attention of an encoder layer."""
        return self.encoder[layer].maps(cells)[0]


@torch.no_grad()
def record_attention(detector: Detector, images: Images) -> AttentionRecord:
    """Run a detector in evaluation mode and record the inputs of its attention modules."""
    decoder: Any = detector.decoder
    encoder: Any = detector.encoder
    cross = [layer.cross_attention for layer in decoder.layers]
    within = [layer.attention for layer in encoder.layers]
    with ExitStack() as stack:
        decoded = stack.enter_context(_recorded(detector.decoder))
        calls = [_call(module, stack) for module in cross]
        encoding = [_call(module, stack) for module in within]
        predictions = detector(images)
    return AttentionRecord(
        predictions=predictions,
        references=decoded.output.references[..., :2].float().sigmoid(),
        cross=tuple(calls),
        encoder=tuple(encoding),
    )


def _call(module: Any, stack: ExitStack) -> Any:
    """The call of an attention that is recorded until the stack is closed."""
    if isinstance(module, MultiScaleCrossAttention):
        return MultiScaleCall(_call(module.coarse, stack), _call(module.fine, stack))
    return AttentionCall(module, stack.enter_context(_recorded(module)).inputs)


@dataclass(slots=True)
class _ModuleCall:
    inputs: dict[str, Any]
    output: Any = None


@contextmanager
def _recorded(module: nn.Module) -> Iterator[_ModuleCall]:
    """Record the module's last call within the block. The hook is removed afterwards, also after an exception."""
    call = _ModuleCall({})
    signature = inspect.signature(module.forward)

    def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        call.inputs.update(signature.bind(*args, **kwargs).arguments)
        call.output = output

    handle = module.register_forward_hook(record, with_kwargs=True)
    try:
        yield call
    finally:
        handle.remove()

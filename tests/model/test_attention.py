"""The attention kernel, and what conditional cross-attention gives it."""

import pytest
import torch

from condetr.cpu import axial_attention
from condetr.cpu.available import without_private_operators
from condetr.model.attention import ConditionalCrossAttention, attend, split_heads
from condetr.model.box_bias import AxialScores
from condetr.model.tokens import Tokens
from tests.cpu.gradients import assert_same

TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-6}  # of values; gradients have ten times as much


def naive(q, k, v, mask, bias, dropped=1.0):
    """softmax(q.k / sqrt(E) + bias) v, term by term; `dropped` is a dropout mask with its scale."""
    score = torch.einsum("bhse,bhle->bhsl", q, k) / q.shape[-1] ** 0.5
    if bias is not None:
        score = score + bias
    if mask is not None:
        score = score.masked_fill(~mask, -torch.inf)
    return torch.einsum("bhsl,bhlv->bshv", dropped * score.softmax(-1), v).flatten(2)


def inputs(heads: int, width: int, value_width: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """q, k and v of two images, with 5 queries and 11 tokens."""
    shapes = ((5, width), (11, width), (11, value_width))
    return tuple(torch.randn(2, heads, *shape, dtype=dtype, requires_grad=True) for shape in shapes)


def some_mask() -> torch.Tensor:
    mask = torch.rand(2, 1, 1, 11) > 0.4
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value_width", [8, 4])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("shape", [None, (2, 5), (1, 5), (2, 1), (1, 1)])
@pytest.mark.parametrize("dropout", [0.0, 1e-9])
def test_attend_is_softmax_attention_and_so_are_its_gradients(dtype, value_width, masked, shape, dropout):
    """With a learned bias of any shape that it allows. A dropout of 1e-9 drops nothing, on the path of dropout."""
    torch.manual_seed(0)
    q, k, v = inputs(5, 8, value_width, dtype)
    mask = some_mask() if masked else None
    bias = None if shape is None else torch.randn(*shape, 5, 11, dtype=dtype, requires_grad=True)
    learned = (q, k, v) if bias is None else (q, k, v, bias)
    found, expected = attend(q, k, v, mask, bias, dropout), naive(q, k, v, mask, bias)
    assert_same(found, expected, learned, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("shape", [None, (2, 5), (1, 1)])
def test_exported_files_have_the_same_attention(masked, shape, monkeypatch):
    torch.manual_seed(0)
    q, k, v = inputs(5, 8, 4, torch.float32)
    mask = some_mask() if masked else None
    bias = None if shape is None else torch.randn(*shape, 5, 11)
    expected = attend(q, k, v, mask, bias, 0.0)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    torch.testing.assert_close(attend(q, k, v, mask, bias, 0.0), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("heads_at_once", [1, 2, 5])
def test_axial_scores_are_added_row_by_column_and_get_gradients(masked, heads_at_once, monkeypatch):
    """On the path for many scores; one of them alone may need a gradient."""
    monkeypatch.setattr(axial_attention, "MANY", 0)
    monkeypatch.setattr(axial_attention, "SCORES", heads_at_once * 7 * 12)
    q, k, v, rows, columns = (
        torch.randn(2, 5, *shape, requires_grad=True) for shape in ((7, 8), (12, 8), (12, 4), (7, 3), (7, 4))
    )
    mask = (torch.arange(12) < torch.tensor([[9], [12]]))[:, None, None] if masked else None
    added = (rows[..., :, None] + columns[..., None, :]).flatten(-2)
    found, expected = attend(q, k, v, mask, AxialScores(rows, columns), 0.0), naive(q, k, v, mask, added)
    assert found.grad_fn.next_functions[0][0].next_functions[0][0].name() == "_AxialAttentionBackward"
    assert_same(found, expected, (q, k, v, rows, columns), atol=1e-6, rtol=1e-6)
    for learned in (q, rows, columns):
        others = [x if x is learned else x.detach() for x in (q, k, v, rows, columns)]
        found = attend(*others[:3], mask, AxialScores(*others[3:]), 0.0)
        added = (others[3][..., :, None] + others[4][..., None, :]).flatten(-2)
        assert_same(found, naive(*others[:3], mask, added), (learned,), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("biased", [True, False])
def test_dropout_drops_attention_weights_and_gradients_follow_those_that_are_kept(public, dtype, biased, monkeypatch):
    """With the identity as values, the output is the dropped weights themselves, which shows the mask."""
    monkeypatch.setenv("CONDETR_PUBLIC_OPERATORS_ONLY", str(int(public)))
    torch.manual_seed(0)
    q, k, v = inputs(5, 8, 6, dtype)
    mask, bias = some_mask(), torch.randn(1, 5, 5, 11, dtype=dtype, requires_grad=True) if biased else None
    torch.manual_seed(3)
    weights = attend(q, k, torch.eye(11, dtype=dtype).expand(2, 5, 11, 11), mask, bias, 0.3)
    weights = weights.unflatten(-1, (5, 11)).transpose(1, 2)
    share = (weights == 0)[mask.expand_as(weights)].float().mean()
    assert 0.2 < share < 0.4
    dropped = (weights != 0) / (1 - round(0.3 * 65536) / 65536)
    torch.manual_seed(3)
    found, expected = attend(q, k, v, mask, bias, 0.3), naive(q, k, v, mask, bias, dropped)
    learned = (q, k, v) if bias is None else (q, k, v, bias)
    assert_same(found, expected, learned, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_dropout_is_the_same_without_private_operators():
    torch.manual_seed(0)
    q, k, v = inputs(5, 8, 6, torch.float32)
    mask = some_mask()
    torch.manual_seed(3)
    found = attend(q, k, v, mask, None, 0.3)
    torch.manual_seed(3)
    with without_private_operators():
        assert_same(found, attend(q, k, v, mask, None, 0.3), (q, k, v), atol=1e-6)


def test_bfloat16_attends_with_dropout_and_a_learned_bias():
    torch.manual_seed(0)
    q, k, v = (x.detach().bfloat16().requires_grad_() for x in inputs(5, 8, 6, torch.float32))
    bias = torch.zeros(1, 5, 5, 11, requires_grad=True)
    for dropout in (0.0, 0.3):
        (gradient,) = torch.autograd.grad(attend(q, k, v, some_mask(), bias, dropout).float().square().sum(), bias)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_scores_are_content_plus_space_head_by_head():
    """c_q.c_k + p_q.p_k over sqrt(64) for heads of 32 + 32: not what concatenating whole vectors would give."""
    torch.manual_seed(0)
    attention = ConditionalCrossAttention(256, 8, 0.0, first_layer=False)
    content, spatial = torch.randn(1, 3, 256), torch.randn(1, 3, 256)
    memory = Tokens.of_queries(torch.randn(1, 6, 256), torch.randn(1, 6, 256))
    q_c, q_p = attention.query_content(content), attention.query_spatial(spatial)
    k_c, k_p = attention.key_content(memory.content), attention.key_spatial(memory.position)
    v = attention.value(memory.content)
    heads = []
    for h in range(8):
        at = slice(32 * h, 32 * (h + 1))
        score = (q_c[..., at] @ k_c[..., at].mT + q_p[..., at] @ k_p[..., at].mT) / 64**0.5
        heads.append(score.softmax(-1) @ v[..., at])
    expected = attention.out(torch.cat(heads, -1))
    torch.testing.assert_close(attention(content, spatial, content, memory, None), expected, atol=1e-5, rtol=1e-4)


def test_the_attention_of_the_first_layer_adds_object_query_and_position_to_the_content():
    attention = ConditionalCrossAttention(32, 4, 0.0, first_layer=True)
    content, spatial, object_query = torch.randn(3, 1, 3, 32)
    memory = Tokens.of_queries(torch.randn(1, 6, 32), torch.randn(1, 6, 32))
    q, k = attention.halves(content, spatial, object_query, memory)
    expected_q = attention.query_content(content) + attention.query_object(object_query)
    expected_k = attention.key_content(memory.content) + attention.key_spatial(memory.position)
    torch.testing.assert_close(q.content, split_heads(expected_q, 4))
    torch.testing.assert_close(k.content, split_heads(expected_k, 4))
    torch.testing.assert_close(k.spatial, split_heads(attention.key_spatial(memory.position), 4))

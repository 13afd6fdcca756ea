import torch

from condetr.model.attention import ConditionalCrossAttention, attend, split_heads
from condetr.model.tokens import Tokens


def plain(q, k, v, visible):
    """softmax(q.k / sqrt(E)) v, a head at a time."""
    score = torch.einsum("bhse,bhle->bhsl", q, k) / q.shape[-1] ** 0.5
    if visible is not None:
        score = score.masked_fill(~visible, -torch.inf)
    return torch.einsum("bhsl,bhlv->bshv", score.softmax(-1), v).flatten(2)


def test_the_kernel_is_softmax_attention_also_where_widths_differ():
    torch.manual_seed(0)
    padding = torch.rand(2, 11) < 0.4
    padding[:, 0] = False
    for width in (8, 4):
        q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 11, 8), torch.randn(2, 3, 11, width)
        for visible in (~padding[:, None, None], None):
            torch.testing.assert_close(attend(q, k, v, visible, 0.0), plain(q, k, v, visible), atol=1e-6, rtol=1e-5)


def test_scores_are_content_plus_space_head_by_head():
    """c_q.c_k + p_q.p_k over sqrt(64) for heads of 32 + 32: not what concatenating whole vectors would give."""
    torch.manual_seed(0)
    attention = ConditionalCrossAttention(256, 8, 0.0, grounded=False)
    content, spatial = torch.randn(1, 3, 256), torch.randn(1, 3, 256)
    memory = Tokens.unpadded(torch.randn(1, 6, 256), torch.randn(1, 6, 256))
    q_c, q_p = attention.query_content(content), attention.query_spatial(spatial)
    k_c, k_p = attention.key_content(memory.content), attention.key_spatial(memory.position)
    v = attention.value(memory.content)
    heads = []
    for h in range(8):
        at = slice(32 * h, 32 * (h + 1))
        score = (q_c[..., at] @ k_c[..., at].mT + q_p[..., at] @ k_p[..., at].mT) / 64**0.5
        heads.append(score.softmax(-1) @ v[..., at])
    expected = attention.out(torch.cat(heads, -1))
    torch.testing.assert_close(attention(content, spatial, content, memory), expected, atol=1e-5, rtol=1e-4)


def test_the_first_layer_is_grounded_and_the_key_keeps_its_place():
    attention = ConditionalCrossAttention(32, 4, 0.0, grounded=True)
    content, spatial, object_query = torch.randn(3, 1, 3, 32)
    memory = Tokens.unpadded(torch.randn(1, 6, 32), torch.randn(1, 6, 32))
    q, k = attention.halves(content, spatial, object_query, memory)
    expected_q = attention.query_content(content) + attention.query_object(object_query)
    expected_k = attention.key_content(memory.content) + attention.key_spatial(memory.position)
    torch.testing.assert_close(q.content, split_heads(expected_q, 4))
    torch.testing.assert_close(k.content, split_heads(expected_k, 4))
    torch.testing.assert_close(k.spatial, split_heads(attention.key_spatial(memory.position), 4))

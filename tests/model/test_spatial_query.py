"""Each form of p_q is the paper's equation (section 3.3 and figure 5)."""

import pytest
import torch

from condetr.model import spatial_query as forms

f, c, p = torch.randn(3, 2, 5, 16)


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_identity_scalar_diagonal():
    same(forms.Identity()(f, c, p), p)
    scalar, diagonal = forms.Scalar(16), forms.Diagonal(16)
    same(scalar(f, c, p), torch.einsum("bno,bnd->bnd", scalar.transform(f), p))
    same(diagonal(f, c, p), torch.einsum("bnde,bne->bnd", torch.diag_embed(diagonal.transform(f)), p))


def test_block_and_full_are_matrix_products():
    full = forms.BlockDiagonal(16, blocks=1)
    T = full.transform(f).view(2, 5, 16, 16)
    same(full(f, c, p), torch.einsum("bnde,bne->bnd", T, p))
    block = forms.BlockDiagonal(16, blocks=4)
    T = torch.stack([torch.stack([torch.block_diag(*t.view(4, 4, 4)) for t in b]) for b in block.transform(f)])
    same(block(f, c, p), torch.einsum("bnde,bne->bnd", T, p))


def test_the_other_forms_use_only_what_they_say():
    same(forms.ContentOnly()(f, c, p), f)
    transform = forms.TransformOnly(16)
    same(transform(f, c, p), transform.transform(f))
    late = forms.FromContent(16)
    same(late(f, c, p), late.transform(c) * p)


@pytest.mark.parametrize(
    "form", [forms.Scalar(16), forms.Diagonal(16), forms.BlockDiagonal(16, 4), forms.BlockDiagonal(16, 1),
             forms.FromContent(16)], ids=lambda form: type(form).__name__
)  # fmt: skip
def test_a_transform_can_start_as_the_identity(form):
    assert (form(f, c, p) - p).abs().max() > 0.1
    form.start_as_identity()
    same(form(f, c, p), p)
    assert all(parameter.requires_grad for parameter in form.parameters())

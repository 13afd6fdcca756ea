import torch
from hypothesis import given
from hypothesis import strategies as st

from condetr.boxes import cxcywh_to_xyxy, generalized_iou, xyxy_to_cxcywh

side = st.floats(0.0625, 1.0, width=32)
place = st.floats(0.0, 1.0, width=32)
box = st.tuples(place, place, side, side).map(lambda b: torch.tensor(b))


def slow_giou(a: torch.Tensor, b: torch.Tensor) -> float:
    """Rezatofighi et al. 2019, algorithm 1, in Python numbers."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.double().tolist(), b.double().tolist()
    overlap = max(0.0, min(ax2, bx2) - max(ax1, bx1)) * max(0.0, min(ay2, by2) - max(ay1, by1))
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - overlap
    hull = (max(ax2, bx2) - min(ax1, bx1)) * (max(ay2, by2) - min(ay1, by1))
    return overlap / union - (hull - union) / hull


@given(box)
def test_the_two_formats_are_inverse(b):
    torch.testing.assert_close(xyxy_to_cxcywh(cxcywh_to_xyxy(b)), b)


@given(box, box)
def test_giou_is_the_papers(a, b):
    a, b = cxcywh_to_xyxy(a), cxcywh_to_xyxy(b)
    assert abs(generalized_iou(a, b).item() - slow_giou(a, b)) < 1e-3


def test_giou_pairs_by_broadcasting():
    a, b = torch.rand(3, 4).cumsum(-1), torch.rand(2, 4).cumsum(-1)
    pairs = generalized_iou(a[:, None], b[None])
    assert pairs.shape == (3, 2)
    torch.testing.assert_close(pairs[2, 1], generalized_iou(a[2], b[1]))

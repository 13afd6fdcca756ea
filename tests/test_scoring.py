"""Facts §6 and §2.8-2.10: focal cost and loss to the official code's digits, and how detections are ranked."""

import torch
from torch.nn import functional as F

from condetr.scoring import FocalScoring, Matched, SoftmaxScoring
from condetr.types import ObjectCounts, OptimizerStep

LOGITS = torch.tensor([[0.3, -1.2], [2.0, -4.6]])


def indices(*pairs: tuple[int, int, int]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(axis) for axis in zip(*pairs)) if pairs else tuple([torch.zeros(0).long()] * 3)


def test_focal_cost_is_the_official_one():
    cost = FocalScoring(0.25, 2.0).cost(LOGITS, torch.tensor([0, 1]))
    expected = torch.tensor([[-0.186344, 0.205485], [-1.237107, 1.129675]])
    torch.testing.assert_close(cost, expected, atol=2e-6, rtol=0)


def test_focal_loss_is_the_official_one():
    matched = Matched(indices((0, 0, 0)), torch.tensor([0]), iou=torch.ones(1))
    step = OptimizerStep(ObjectCounts((1,)), progress=1.0)
    loss = FocalScoring(0.25, 2.0).loss(LOGITS[None, None], matched, step)
    torch.testing.assert_close(loss, torch.tensor([1.2732378]), atol=1e-6, rtol=0)


def test_softmax_loss_is_a_weighted_mean_over_queries():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 6)  # S B N C, five classes
    matched = indices((0, 0, 1), (0, 2, 3), (1, 0, 0), (1, 2, 2))
    labels = torch.tensor([2, 0, 4, 1])
    truth = torch.full((2, 3, 4), 5)
    truth[matched] = labels
    weight = torch.tensor([1.0] * 5 + [0.1])
    expected = [F.cross_entropy(logits[s].flatten(0, 1), truth[s].flatten(), weight) for s in range(2)]
    step = OptimizerStep(ObjectCounts((1, 0, 1)), 1.0)
    loss = SoftmaxScoring(0.1).loss(logits, Matched(matched, labels, iou=torch.rand(4)), step)
    torch.testing.assert_close(loss, torch.stack(expected))


def test_focal_ranks_pairs_and_softmax_ranks_queries():
    probability = torch.tensor([[[0.9, 0.8, 0.1], [0.2, 0.3, 0.85]]])
    real = torch.tensor([0, 1, 2])
    scores, queries, labels = FocalScoring(0.25, 2.0).rank(probability, real, 3)
    assert queries.tolist() == [[0, 1, 0]]
    assert labels.tolist() == [[0, 2, 1]]
    torch.testing.assert_close(scores, torch.tensor([[0.9, 0.85, 0.8]]))
    _, queries, labels = SoftmaxScoring(0.1).rank(probability, real, 100)
    assert queries.tolist() == [[0, 1]]
    assert labels.tolist() == [[0, 2]]


def test_only_real_labels_are_ranked():
    probability = torch.tensor([[[0.9, 0.2, 0.3]]])
    for scoring in (FocalScoring(0.25, 2.0), SoftmaxScoring(0.1)):
        _, _, labels = scoring.rank(probability, torch.tensor([1, 2]), 10)
        assert 0 not in labels.tolist()[0]
        assert labels[0, 0] == 2

"""Queries of one part of a learner, decoded without those of the others."""

from condetr.model.decoders import Decoded
from condetr.model.detector import Detector
from condetr.model.tokens import Tokens
from condetr.objective.learners import QuerySet, TrainingQueries
from condetr.objective.set_loss import LossTerms
from condetr.types import OptimizerStep, Target


def decoded_alone(queries: QuerySet, detector: Detector, memory: Tokens) -> Decoded:
    return detector.decode(queries.queries, memory, queries.reference, (queries.groups,))


def loss_alone(
    part: TrainingQueries, detector: Detector, memory: Tokens, targets: list[Target], step: OptimizerStep
) -> LossTerms:
    queries: QuerySet = part(detector, targets, step)
    return queries.loss(decoded_alone(queries, detector, memory))

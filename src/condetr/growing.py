"""More object queries for trained weights, which keep their detections.

Each new query is a copy of a trained query, and all trained queries have nearly the same number of copies. In a softmax
over the queries, a key that occurs r times gets r times the weight. If every query occurs r times, self-attention
therefore returns what it returned before, and so does the detector. A copy would find the objects of its original a
second time. So the class logits of new queries get a bias (`QueryBias`), which keeps their scores close to 0; training
raises it for queries that are matched with objects. The positions of new queries are jittered a little, so that copies
do not stay the same.
"""

import os

import torch

from . import checkpoint
from .arguments import path_of, whole_number
from .build import build_detector
from .checkpoint import Weights
from .config import override
from .engine.torch_defaults import torch_defaults
from .errors import CondetrError
from .files import check_new_folder
from .model.detector import BY_QUERY
from .model.query_bias import SCALE, SILENT

JITTER = 0.005  # of the standard deviation of a tensor's columns
SEED = 0


def grow(
    weights: str | os.PathLike[str] | Weights, *, queries: int, out: str | os.PathLike[str] | None = None
) -> Weights:
    """Weights with `queries` object queries in all; written to the new or empty folder `out`, if one is given.

    Thresholds are kept. Raises WeightsError for weights that cannot be read, and CondetrError for a number that is not
    larger than what they have, or an exported file.
    """
    out = None if out is None else path_of(out, "out")
    queries = whole_number(queries, "queries", 1)
    if out is not None:
        check_new_folder(out)
    if not isinstance(weights, Weights):
        weights = checkpoint.load(weights)
    before = weights.config.model.queries
    if queries <= before:
        raise CondetrError(f"`queries={queries}`: the weights have {before} already. Give a larger number")
    grown = _grown(weights, queries)
    if out is not None:
        checkpoint.save(out, grown)
    return grown


@torch_defaults()
@torch.no_grad()
def _grown(weights: Weights, queries: int) -> Weights:
    config = override(weights.config, {"model.queries": queries, "model.query_bias": "learned"})
    with torch.random.fork_rng(devices=[]):
        detector = build_detector(config.model, len(weights.categories))
    state, own = {name: one.cpu() for name, one in weights.detector.state_dict().items()}, detector.state_dict()
    before = weights.config.model.queries
    copied = torch.linspace(0, before, queries - before + 1)[:-1].long() if queries < 2 * before else None
    rows = torch.arange(queries) % before if copied is None else torch.cat([torch.arange(before), copied])
    random = torch.Generator().manual_seed(SEED)
    for name, tensor in own.items():
        if name in BY_QUERY and name in state:
            tensor.copy_(state[name][rows])
            if name != "query_bias.value":
                noise = torch.randn(tensor[before:].shape, generator=random)
                tensor[before:] += JITTER * state[name].std(0, unbiased=False) * noise
        elif name in state:
            tensor.copy_(state[name])
    own["query_bias.value"][before:] += SILENT / SCALE
    return Weights(detector.eval(), config, weights.categories, weights.thresholds)

"""Average precision equals a slow direct computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condetr.metrics.average_precision import average_precision


def slow_average_precision(correct: list[bool], objects: int) -> float:
    """At each of 101 recalls the best precision of any cut that reaches it, else 0."""
    cuts = [(sum(correct[:n]) / objects, sum(correct[:n]) / n) for n in range(1, len(correct) + 1)]
    recalls = np.linspace(0, 1, 101)
    return float(np.mean([max([p for r, p in cuts if r >= recall], default=0.0) for recall in recalls]))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.booleans(), max_size=30), st.integers(0, 5))
def test_average_precision_is_the_mean_of_the_best_precision_at_each_recall(correct: list[bool], more: int) -> None:
    objects = sum(correct) + more
    got = average_precision(np.array(correct, bool), objects)
    if objects == 0:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(slow_average_precision(correct, objects), abs=1e-12)

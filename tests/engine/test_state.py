"""States are read by other versions and refused by other models."""

import pytest
import torch
from torch import nn

from condetr.build import build_detector, build_learner, build_loss, build_optimizer
from condetr.config import Config, Train
from condetr.engine import state
from condetr.errors import CondetrError
from tests.tiny import TINY


class OldGroups(nn.Module):
    """As a detector with further groups of queries was saved: they were named `more`, then `extra_queries`."""

    def __init__(self, detector: nn.Module, name: str, extra_queries: nn.Module) -> None:
        super().__init__()
        self.detector = detector
        self.add_module(name, extra_queries)


@pytest.mark.parametrize(("groups", "name"), [(1, ""), (3, "more"), (3, "extra_queries")])
def test_a_state_of_the_first_versions_resumes(tmp_path, groups, name):
    config = Config(model=TINY, train=Train(groups=groups))

    def new():
        return build_learner(build_detector(TINY, classes=2), build_loss(config)[0], config.train)

    learner, other = new(), new()
    old = learner.detector if groups == 1 else OldGroups(learner.detector, name, learner.parts[0].extra_queries)
    optimizer = build_optimizer(old, config.train)
    sum(parameter.sum() for parameter in old.parameters() if parameter.requires_grad).backward()
    optimizer.step()
    state.write(tmp_path, state.Position("data", total=1), old, None, optimizer)

    resumed = build_optimizer(other, config.train)
    state.read(state.files(tmp_path)[-1], other, None, resumed, torch.device("cpu"))
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), learner.state_dict().values()))
    learning = [parameter for parameter in other.parameters() if parameter.requires_grad]
    assert all(resumed.state[parameter]["exp_avg"].abs().sum() > 0 for parameter in learning)


def test_a_state_that_does_not_fit_the_model_is_kept_and_described_without_torchs_words(tmp_path):
    def new(classes: int):
        return build_detector(TINY, classes)

    config = Config(model=TINY)
    learner = build_learner(new(2), build_loss(config)[0], config.train)
    other = build_learner(new(5), build_loss(config)[0], config.train)
    state.write(tmp_path, state.Position("data", total=1), learner, None, build_optimizer(learner, config.train))
    file = state.files(tmp_path)[-1]
    assert state.read_position(file).data == "data"
    with pytest.raises(CondetrError, match=r"does not fit the model that the run's config\.json describes") as caught:
        state.read(file, other, None, build_optimizer(other, config.train), torch.device("cpu"))
    assert not any(word in str(caught.value) for word in ("size mismatch", "Remove", "\n"))

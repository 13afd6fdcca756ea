"""Fixtures of the tests that save models with transformers."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def no_network(monkeypatch):
    """transformers asks the hub whether `backbone` is a repository."""
    nobody = SimpleNamespace(repo_exists=lambda name: False)
    monkeypatch.setattr("transformers.backbone_utils.hf_api", lambda: nobody)

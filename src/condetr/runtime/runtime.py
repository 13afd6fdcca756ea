"""The interface through which a trained detector is executed, whatever executes it."""

from abc import ABC, abstractmethod

from ..types import Images, Predictions


class Runtime(ABC):
    """Executes one trained detector."""

    @abstractmethod
    def run(self, images: Images) -> Predictions:
        """The predictions of the last decoder layer (S = 1), in float32, without gradients."""

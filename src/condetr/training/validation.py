"""The COCO metrics of the weights on `valid` while a run trains them."""

from collections.abc import Callable

from ..checkpoint import Weights
from ..datasets.dataset import DataSet
from ..engine.distributed import Processes
from ..evaluating.samples import Predicting, evaluate_samples
from ..metrics import Evaluator
from ..model.backbone import Backbone
from ..predicting.predictor import Predictor
from .batches import Batches
from .features import FeatureCache
from .machine import Machine
from .valid_features import FeaturePredictor, same_weights

MOST_AT_ONCE = 8  # images that are predicted together


class Validation:
    """Predicts `valid` with the weights as they are. While the backbone is frozen, from features that are kept where
    the detections are the same, in memory that the features of training images leave."""

    def __init__(self, dataset: DataSet, machine: Machine, processes: Processes, batches: Batches) -> None:
        self.categories, self.samples = dataset.categories, dataset.split("valid").samples
        self.machine, self.processes = machine, processes
        self.phase, self.read = batches.phase, batches.read
        self.cache = FeatureCache(max(0, self.phase.budget - self.phase.needed))

    def evaluate(
        self, weights: Weights, trained: Backbone, epoch: int, progress: Callable[[int, int], None]
    ) -> Evaluator:
        """Predict the images with `weights` after `epoch`, counted from 0; `trained` is the backbone that is trained.

        `progress(done, total)` is called after each image of this process.
        """
        return evaluate_samples(
            self._predictor(weights, trained, epoch), self.samples, self.categories,
            min(MOST_AT_ONCE, self.machine.micro_batch), self.processes, self.machine.device, progress, read=self.read,
        )  # fmt: skip

    def _predictor(self, weights: Weights, trained: Backbone, epoch: int) -> Predicting:
        exact = self.machine.device.type == "cpu" and trained.exact
        if epoch < self.phase.epochs and exact and same_weights(weights.detector.backbone, trained):
            return FeaturePredictor(weights, self.cache)
        self.cache.clear()
        return Predictor(weights, self.machine.device)

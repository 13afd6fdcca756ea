"""What the model's thread does: detect objects in images, or explain one query of one image."""

from dataclasses import dataclass
from typing import Any

from ..detections import Detections
from ..engine.memory import is_out_of_memory
from ..errors import CondetrError
from ..explaining.query_values import Which, query_values
from ..predicting.batching import Scaled
from ..predicting.selection import Threshold
from .limits import Refused
from .models import Model


@dataclass(frozen=True, slots=True)
class Detecting:
    """The best `limit` detections (None: all) of each image."""

    model: Model
    limit: int | None

    def run(self, images: list[Scaled]) -> list[Detections]:
        return self.model.detect(self.limit, images)

    def choose(self, images: list[Scaled], most: int) -> list[int]:
        return self.model.choose(images, most)

    def size(self, most: int) -> int:
        return self.model.batch(most)


@dataclass(frozen=True, slots=True)
class Question:
    """An image, and which of its queries is explained."""

    image: Scaled
    which: Which
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class Explaining:
    """Each question alone: with the attention of a batch recorded, its memory would depend on the clients."""

    model: Model

    def run(self, questions: list[Question]) -> list[dict[str, Any]]:
        (one,) = questions
        try:
            return [query_values(self.model.predictor, one.image, one.which, one.threshold)]
        except CondetrError as error:
            raise Refused(400, str(error)) from None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise CondetrError("out of memory") from None

    def choose(self, questions: list[Question], most: int) -> list[int]:
        return [0]

    def size(self, most: int) -> int:
        return 1


Work = Detecting | Explaining

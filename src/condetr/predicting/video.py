"""Detections in the frames of a video, camera or stream."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from ..detections import Detections
from ..errors import ImageError
from ..images.decode import Pixels
from ..videos.capture import Frame
from ..videos.frames import Video

Stream = Callable[..., Iterator[tuple[Any, Detections | ImageError]]]


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFrame:
    """A frame of a video with its detections: `image` is uint8 RGB (height, width, 3), upright; `number` counts from
    0; `time` is in seconds."""

    image: Pixels
    number: int
    time: float
    detections: Detections

    def draw(self) -> Image.Image:
        """The frame with boxes, names and scores, as a PIL image."""
        return self.detections.draw(self.image)


def detected_frames(video: Video, stream: Stream, batch: int) -> Iterator[DetectedFrame]:
    """`stream` pairs frames with their detections, as `Predictor.stream` does. Each frame of a camera or stream is
    predicted before the next one is taken."""
    batch = 1 if video.live else batch
    for frame, result in stream(video.frames(), batch=batch, read=_pixels, ahead=2 * batch if batch > 1 else None):
        if isinstance(result, ImageError):
            raise result
        yield DetectedFrame(frame.image, frame.number, frame.time, replace(result, file=video.name))


def _pixels(frame: Frame) -> Pixels:
    return frame.image

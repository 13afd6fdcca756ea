"""One run of `condetr predict`: images in batches, videos frame by frame, and the lines that report on them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ImageError
from ..plural import counted, listed
from ..reports.terminal import printable
from ..suggestions import did_you_mean, nearest_path
from .flags import as_typed
from .progress import progress_bar
from .streams import message, messages, results

if TYPE_CHECKING:
    from ..detections import Detection, Detections
    from ..predicting.outputs import Outputs
    from ..predicting.predictor import Predictor
    from ..predicting.sources import Found, Opened
    from ..predicting.window import Window
    from ..videos.sources import VideoSource

MOST = 100  # objects of an image by default, as COCO's metrics count


@dataclass(frozen=True, slots=True)
class Kept:
    """Which detections are kept."""

    classes: list[str] | None
    max_detections: int | None
    one_class_per_box: bool


@dataclass(frozen=True, slots=True)
class Part:
    """Which frames of a video are predicted, and how often a lost stream is opened again."""

    every: int
    start: float | None
    end: float | None
    retry: int


@dataclass(slots=True)
class Run:
    """`table`: print the detections of an image, as for a single one."""

    quiet: bool
    kept: Kept
    part: Part
    batch: int
    table: bool = False
    window: "Window | None" = None
    outputs: "Outputs | None" = None
    images: int = 0
    asked: set[str] = field(default_factory=set)  # images, videos: what there was to predict
    videos: int = 0
    frames: int = 0
    objects: int = 0
    full: int = 0  # images and frames with as many objects as are kept
    failures: int = 0
    min_score: Any = 0.0
    most: "Callable[[tuple[int, int]], int | None]" = lambda size: MOST  # detections of an image of (width, height)
    best: "tuple[Detection, str] | None" = field(default=None)  # of all images, in the image of this name

    def report(self, name: str, reason: str, failed: bool = True) -> None:
        self.failures += failed
        if failed or not self.quiet:
            suggestion = did_you_mean(nearest_path(Path(name))) if reason.startswith("no such file") else ""
            message(f"{name}: {reason}{suggestion}")
        if failed and self.outputs is not None:
            self.outputs.skip(name, reason)

    def predict_images(self, predictor: "Predictor", found: "Iterable[Found]", total: int | None) -> None:
        assert self.outputs is not None
        self.asked.add("images")
        opened = map(self.outputs.opened, found)
        with progress_bar("images", messages(), hidden=self.quiet or total == 1) as count:
            stream = self._stream(predictor, opened, self.batch, self.outputs.ahead(self.batch))
            for number, (one, detections) in enumerate(stream, 1):
                try:
                    if isinstance(detections, ImageError):
                        raise detections
                    kept = self._write(one, detections)
                    self.images += 1
                    if self.table and len(kept):
                        from ..predicting.outputs import table

                        results(self.quiet).print(table(kept), markup=False)
                except ImageError as error:
                    self.report(one.found.name, str(error))
                count(number, total)

    def predict_videos(self, predictor: "Predictor", found: "Iterable[tuple[Found, VideoSource | None]]") -> None:
        for one, source in found:
            if source is not None:
                self._predict_video(predictor, one, source)

    def _predict_video(self, predictor: "Predictor", found: "Found", source: "VideoSource") -> None:
        """A video that cannot be read, or not to its end, is reported, and what was read of it is kept."""
        from ..predicting.sources import Opened
        from ..videos.frames import Video
        from ..videos.sources import VideoError

        assert self.outputs is not None
        self.asked.add("videos")
        part, before, dropped = self.part, self.frames, []

        def notify(text: str) -> None:
            message(f"{source.name}: {text}")

        try:
            video = Video(source, part.every, part.start, part.end, part.retry, notify)
            batch = 1 if video.live else self.batch
            rate = video.rate / video.every
            opened = (Opened.of_frame(found, frame) for frame in video.frames())
            with (
                self.outputs.video(source, rate) as dropped,
                progress_bar("frames", messages(), hidden=self.quiet) as count,
            ):
                stream = self._stream(predictor, opened, batch, 2 * batch if batch > 1 else None)
                for number, (one, detections) in enumerate(stream, 1):
                    kept = self._write(one, detections)
                    self.frames += 1
                    count(number, video.expected)
                    if self.window is not None:
                        self.window.write(one, kept)
                        if self.window.closed:
                            break
            if video.cut:
                self.report(source.name, video.cut)
            if sum(dropped) and not video.live and not self.quiet:
                notify(
                    f"not drawn: {counted(sum(dropped), 'frame')}; at {rate:.4g} per second others have the same time"
                )
        except VideoError as error:
            self.report(source.name, error.reason)
        finally:
            self.videos += self.frames > before

    def _stream(
        self, predictor: "Predictor", opened: "Iterable[Opened]", batch: int, ahead: int | None
    ) -> "Iterator[tuple[Opened, Detections | ImageError]]":
        from ..predicting.sources import Opened

        kept = self.kept
        return predictor.stream(
            opened, 0.0, batch, Opened.read, classes=kept.classes,
            max_detections=None if kept.max_detections is None else max(kept.max_detections, MOST),
            one_class_per_box=kept.one_class_per_box, ahead=ahead,
        )  # fmt: skip

    def _write(self, one: "Opened", detections: Any) -> "Detections":
        assert self.outputs is not None
        kept = detections.filter(min_score=self.min_score)[: self.kept.max_detections]
        self.outputs.write(one, kept)
        self.objects += len(kept)
        self.full += len(kept) == self.most(kept.size)
        if len(detections) and (self.best is None or detections[0].score > self.best[0].score):
            frame = "" if one.frame is None else f", frame {one.frame}"
            self.best = detections[0], one.found.name + frame
        return kept

    def summary(self, out: Path, interrupted: bool) -> Iterator[str]:
        """The lines at the end of a run that writes to a folder."""
        from ..predicting.outputs import nothing

        done = self.images + self.frames
        if done and not self.objects and not interrupted:
            name = self.best[1] if self.best and done > 1 else ""
            yield printable(as_typed(nothing(self.best[0] if self.best else None, self.min_score, name)))
        counts = [counted(self.images, "image")] if self.images else []
        counts += [f"{counted(self.videos, 'video')} with {counted(self.frames, 'frame')}"] if self.videos else []
        counts = counts or [counted(0, "frame" if self.asked == {"videos"} else "image")]
        line = f"{', '.join(counts)}, {counted(self.objects, 'object')}: see {printable(str(out))}"
        yield f"interrupted; kept: {line}" if interrupted else line
        if self.outputs is not None and (others := self.outputs.earlier()):
            where = f"{printable(str(out))} also has files of earlier runs: {listed(others)}"
            yield f"{where}. Use another --out to keep runs apart"
        if self.full and self.kept.max_detections is None:
            most = f"{counted(MOST, 'object')}, the most that are kept: --max-detections N keeps more"
            both = bool(self.images and self.frames)
            many = "images and frames" if both else counted(self.full, "image" if self.images else "frame")
            yield f"{many} with {most}" if done > 1 else f"it has {most}"

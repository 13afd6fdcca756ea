"""`condetr sample`: frames of videos to label."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..plural import counted
from ..reports.terminal import printable
from .options import Quiet, Start
from .progress import progress_bar
from .stopping import status_of
from .streams import message, messages
from .values import span


def sample(
    videos: Annotated[list[str], typer.Argument(metavar="VIDEO", help="video files, camera:0, or URLs (rtsp, http)")],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="frames to write of each video")] = 50,
    out: Annotated[Path, typer.Option(metavar="DIR", help="the folder to write")] = Path("frames"),
    start: Start = None,
    end: Annotated[str | None, typer.Option(metavar="T", help="stop at T; needed for a camera or stream")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="write although the folder has frames of a video of the same name")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write frames of videos to label: evenly spread, none nearly the same as another."""
    from ..sampling.sample import sample_video
    from ..videos.frames import Video
    from ..videos.sources import VideoError, source_of

    begin, until = span(start, end)
    failures, status, written = 0, 0, 0
    try:
        for name in videos:
            try:
                source = source_of(name)
                video = Video(source, 1, begin, until, notify=partial(_tell, source.name))
                with progress_bar("frames", messages(), hidden=quiet) as progress:
                    paths = sample_video(video, count, out, overwrite, progress)
                written += len(paths)
                if video.cut:
                    failures += 1
                    message(f"{video.name}: {video.cut}")
                if len(paths) < count and not quiet:
                    few = f"{len(paths)} of {counted(count, 'frame')}: no others that differ were found"
                    message(f"{video.name}: {few}")
            except VideoError as error:
                failures += 1
                message(str(error))
    except KeyboardInterrupt as interrupt:
        status = status_of(interrupt)
    if not quiet:
        line = f"{counted(written, 'frame')}: see {printable(str(out))}" if written else "0 frames"
        print(f"interrupted; kept: {line}" if status else line)
    raise typer.Exit(status or int(failures > 0))


def _tell(name: str, text: str) -> None:
    message(f"{name}: {text}")

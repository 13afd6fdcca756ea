"""`condetr predict` on videos, cameras and streams: what is written, what is said, and that it plays."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from condetr import Predictor, cli, video_frames
from condetr.checkpoint import Weights, save
from condetr.config import Config, Data
from condetr.errors import CondetrError
from condetr.reports.drawing import enlarge
from condetr.types import Categories
from condetr.videos import live
from tests.browser import chromium
from tests.tiny import TINY, shaken
from tests.videos import clips
from tests.videos.cameras import camera


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("weights")
    categories = Categories((1, 3, 4), ("cat", None, "dog"))
    save(folder, Weights(shaken(TINY, 3), Config(model=TINY, data=Data(size=64)), categories, None), "card")
    return str(folder)


def predict(*words: str) -> tuple[int, str, str]:
    """(exit status, standard output, standard error without the line that names the weights)"""
    result = CliRunner().invoke(cli.app, ["predict", "--threshold", "0", *words], catch_exceptions=False)
    return result.exit_code, result.stdout, re.sub(r"(?m)^condetr: loading .*\n", "", result.stderr)


def lines(path: str = "predictions/predictions.jsonl") -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def facts(path: str) -> tuple[int, float]:
    """Frames and frames per second of a video that was written."""
    frames = list(video_frames(path))
    return len(frames), round(frames[1].time - frames[0].time, 3)


def test_videos_and_images_mixed(here: Path, weights: str) -> None:
    clips.write(Path("clip.mp4"), 10)
    clips.write(Path("odd/clip.avi"), 6, (61, 47), 10.0)
    for name in ("a.png", "b.png"):
        Image.fromarray(clips.picture(1)).save(name)
    names = ("a.png", "clip.mp4", "odd/*.avi", "b.png")
    status, stdout, stderr = predict(*names, "--weights", weights, "--format", "images,jsonl,csv,coco")
    assert (status, stderr) == (0, "")
    assert "2 images, 2 videos with 16 frames, " in stdout
    found = lines()
    assert [(line["file"], line.get("frame"), line.get("time")) for line in found] == [
        ("a.png", None, None),
        *(("clip.mp4", i, round(i / 25, 3)) for i in range(10)),
        *(("odd/clip.avi", i, round(i / 10, 3)) for i in range(6)),
        ("b.png", None, None),
    ]
    assert found[1]["width"] == 64
    assert facts("predictions/videos/clip.mp4") == (10, 0.04)
    assert facts("predictions/videos/clip-2.mp4") == (6, 0.1)
    assert sorted(path.name for path in Path("predictions/images").iterdir()) == ["a.png", "b.png"]
    drawn = next(video_frames("predictions/videos/clip.mp4")).image
    assert drawn.shape == (336, 448, 3)  # a small one is enlarged, as images are
    plain, _ = enlarge(clips.picture(0))
    assert (np.abs(drawn.astype(int) - plain) > 60).mean() > 0.02  # boxes and labels
    rows = Path("predictions/predictions.csv").read_text().splitlines()
    assert rows[0].endswith(",x1,y1,x2,y2,frame,time")
    assert any(row.startswith("clip.mp4,") and row.endswith(",9,0.36") for row in rows)
    coco = json.loads(Path("predictions/coco_images.json").read_text())["images"]
    assert len({image["id"] for image in coco}) == 18
    assert {"file_name": "clip.mp4", "frame": 9, "time": 0.36}.items() <= coco[10].items()


def test_answers_do_not_depend_on_the_batch_and_are_those_of_python(here: Path, weights: str) -> None:
    clips.write(Path("clip.mp4"), 9)
    written = []
    for batch in ("1", "4", "16"):
        predict("clip.mp4", "--weights", weights, "--batch", batch, "--format", "jsonl")
        written.append(lines())
    assert [[one["frame"] for one in answer] for answer in written] == [list(range(9))] * 3
    scores = [[[d["score"] for d in one["detections"]] for one in answer] for answer in written]
    assert scores[0] == scores[1] == scores[2]
    frames = list(Predictor.load(weights, "cpu").video("clip.mp4", 0.0, every=4))
    assert [frame.number for frame in frames] == [0, 4, 8]
    assert [[round(d.score, 6) for d in frame.detections] for frame in frames] == scores[0][::4]
    assert frames[0].detections.file == "clip.mp4"
    assert frames[0].draw().size == (448, 336)
    with pytest.raises(CondetrError, match=r"clip\.mp4: a video, not an image: Predictor.video .* its frames"):
        Predictor.load(weights, "cpu")("clip.mp4")


def test_a_part_of_a_video_keeps_its_speed(here: Path, weights: str) -> None:
    clips.write(Path("clip.mp4"), 100)
    words = ("clip.mp4", "--weights", weights)
    assert predict(*words, "--every", "5", "--start", "1", "--end", "0:03")[0] == 0
    assert [(line["frame"], line["time"]) for line in lines()] == [(i, i / 25) for i in range(25, 75, 5)]
    assert facts("predictions/videos/clip.mp4") == (10, 0.2)
    for part in (("--start", "5"), ("--start", "0.05", "--end", "0.07")):
        status, output, stderr = predict("clip.mp4", "--weights", weights, "--out", "none", *part)
        assert (status, output) == (1, "0 frames, 0 objects: see none\n")
        assert f"clip.mp4: no frames from {part[1]} s " in stderr
    with pytest.raises(CondetrError, match="--end 1: must be later than --start 2"):
        predict(*words, "--start", "2", "--end", "1")
    with pytest.raises(CondetrError, match="--start soon: give seconds, or hh:mm:ss"):
        predict(*words, "--start", "soon")
    Image.fromarray(clips.picture(1)).save("a.png")
    with pytest.raises(CondetrError, match="--every: only for videos, and there is none"):
        predict("a.png", "--weights", weights, "--every", "2")


def test_a_variable_rate_keeps_its_timing(here: Path, weights: str) -> None:
    durations = [0.1] * 5 + [1.0] * 2 + [0.1] * 5 + [0.01] * 6 + [0.1] * 2
    clips.timed(clips.write(Path("clip.mp4"), len(durations)), durations)
    status, _, stderr = predict("clip.mp4", "--weights", weights, "--threshold", "1")  # nothing is drawn over
    written = list(video_frames("predictions/videos/clip.mp4"))
    starts = np.cumsum([0, *durations[:-1]])
    assert [line["time"] for line in lines()] == pytest.approx(starts, abs=2e-3)
    assert written[-1].time == pytest.approx(starts[-1], abs=0.15)
    step = written[1].time
    for frame in written:  # each shows what is due at its time, within a frame
        due = {int(n) for t in (-step, 0, step) for n in [np.searchsorted(starts, frame.time + t, "right") - 1]}
        assert min(due) - 1 <= clips.number_in(frame.image) <= max(due) + 1
    assert status == 0
    assert re.search(r"not drawn: \d+ frames; at", stderr)


def test_a_folder_names_its_videos(here: Path, weights: str) -> None:
    clips.write(Path("in/clip one.mp4"), 2)
    Image.fromarray(clips.picture(1)).save("in/a.png")
    status, stdout, stderr = predict("in", "--weights", weights)
    assert (status, stderr) == (
        0,
        "condetr: in: skipped, videos: clip one.mp4. To predict them, name them, for example 'in/clip one.mp4'\n",
    )
    assert stdout.count("1 image, ") == 1


def test_damaged_videos_are_reported_and_the_others_done(here: Path, weights: str) -> None:
    clips.cut(clips.index_first(clips.write(Path("cut.mp4"), 30)))
    clips.cut(clips.write(Path("unfinished.mp4"), 30))
    clips.write(Path("good.mp4"), 3)
    Path("empty.mp4").touch()
    words = (
        "cut.mp4",
        "unfinished.mp4",
        "empty.mp4",
        "camera:99",
        "nowhere.mp4",
        "good.mp4",
        "rtsp://me:pw@127.0.0.1:9/x",
    )
    status, stdout, stderr = predict(*words, "--weights", weights)
    told = stderr.splitlines()
    read = len([line for line in lines() if line["file"] == "cut.mp4" and "frame" in line])
    assert 3 < read < 30
    assert status == 1
    assert len(told) == 6
    assert told[0].startswith(f"condetr: cut.mp4: cut short: bytes are missing at its end; frame {read - 1} at ")
    assert told[1].startswith("condetr: unfinished.mp4: cut short: its index (moov) is missing")
    assert told[2] == "condetr: empty.mp4: an empty file (0 bytes)"
    assert told[3].startswith("condetr: camera:99: no such camera")
    assert told[4].startswith("condetr: nowhere.mp4: no such file or folder")
    assert told[5].startswith("condetr: rtsp://***@127.0.0.1:9/x: cannot be opened")
    assert "2 videos with" in stdout
    assert [line["file"] for line in lines() if "error" in line] == [*(line.split(": ")[1] for line in told)]
    assert facts("predictions/videos/cut.mp4")[0] == read
    assert sorted(path.name for path in Path("predictions/videos").iterdir()) == ["cut.mp4", "good.mp4"]


def test_a_stream_until_a_time_without_its_password(here: Path, weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.05)
    with camera(10, 1000) as host:
        name = f"http://me:secret@{host}/live?token=secret"
        status, stdout, stderr = predict(name, "--weights", weights, "--end", "1.5")
    assert status == 0
    assert (
        stderr == f"condetr: http://***@{host}/live?token=***: connection lost; connecting again in 0.05 s (1 of 5)\n"
    )
    (written,) = Path("predictions/videos").iterdir()
    assert written.name == f"{host.replace(':', '-')}-live.mp4"
    everything = stdout + stderr + Path("predictions/predictions.jsonl").read_text()
    assert "secret" not in everything
    times = [line["time"] for line in lines()]
    assert times == sorted(times)
    assert times[-1] < 1.5
    assert abs(list(video_frames(written))[-1].time - times[-1]) < 0.1


def test_json_lines_on_standard_output(here: Path, weights: str) -> None:
    clips.write(Path("clip.mp4"), 3)
    status, stdout, stderr = predict("clip.mp4", "--weights", weights, "--out", "-")
    assert (status, stderr) == (0, "")
    assert [json.loads(line)["frame"] for line in stdout.splitlines()] == [0, 1, 2]
    assert sorted(path.name for path in here.iterdir()) == ["clip.mp4"]


def test_the_video_itself_is_never_overwritten(here: Path, weights: str) -> None:
    clip = clips.write(Path("predictions/videos/clip.mp4"), 3)
    before = clip.read_bytes()
    predict(str(clip), "--weights", weights)
    assert clip.read_bytes() == before
    assert Path("predictions/videos/clip-2.mp4").exists()


def test_a_window_needs_a_display(here: Path, weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.write(Path("clip.mp4"), 3)
    monkeypatch.delenv("DISPLAY", raising=False)
    if sys.platform == "linux":
        with pytest.raises(CondetrError, match=r"--show: (there is no display|needs tkinter)"):
            predict("clip.mp4", "--weights", weights, "--show")


def test_closing_the_window_ends_the_video(here: Path, weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for Tk: no display is needed."""
    shown: list[bytes] = []

    class Tk:
        keys: ClassVar[dict] = {}

        def title(self, text: str) -> None: ...
        def protocol(self, name: str, close: object) -> None: ...
        def destroy(self) -> None: ...
        def winfo_screenwidth(self) -> int:
            return 200

        winfo_screenheight = winfo_screenwidth

        def bind(self, key: str, close: object) -> None:
            self.keys[key] = close

        def update(self) -> None:
            if len(shown) == 3:
                self.keys["<Escape>"]()

    class Label:
        def __init__(self, *_: object, **__: object) -> None: ...
        def pack(self) -> None: ...
        def configure(self, image: bytes) -> None:
            shown.append(image)

    tkinter = types.ModuleType("tkinter")
    vars(tkinter).update(Tk=Tk, Label=Label, TclError=RuntimeError, PhotoImage=lambda data, format, master: data)
    monkeypatch.setitem(sys.modules, "tkinter", tkinter)
    clips.write(Path("clip.mp4"), 20)
    status, stdout, _ = predict("clip.mp4", "--weights", weights, "--show", "--batch", "2")
    assert status == 0
    assert len(shown) == 3
    assert "1 video with 3 frames, " in stdout
    head, pixels = shown[0][:15], shown[0][15:]
    assert head == b"P6 180 135 255\n"
    assert len(pixels) == 180 * 135 * 3
    assert facts("predictions/videos/clip.mp4")[0] == 3


def test_ctrl_c_finishes_the_file(tmp_path: Path, weights: str) -> None:
    clips.write(tmp_path / "clip.mp4", 1500)
    command = [sys.executable, "-m", "condetr", "predict", "clip.mp4", "--weights", weights]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
        try:
            parts = tmp_path / "predictions" / "videos"
            until = time.monotonic() + 200
            while time.monotonic() < until and not list(parts.glob(".*.part.mp4")):
                time.sleep(0.05)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=100)
        finally:
            process.kill()
    assert process.returncode == 130
    assert stderr == f"condetr: loading {weights}\n"
    assert stdout.startswith("interrupted; kept: 1 video with ")
    frames = len(list(video_frames(parts / "clip.mp4")))
    told = int(stdout.split(" with ")[1].split()[0])
    assert 0 < frames <= told + 1
    assert [path.name for path in parts.iterdir()] == ["clip.mp4"]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as opened:
        yield opened


def test_the_default_plays_in_a_browser(here: Path, weights: str, browser: object) -> None:
    clips.write(Path("clip.mp4"), 10)
    predict("clip.mp4", "--weights", weights)
    predict("clip.mp4", "--weights", weights, "--codec", "mp4v", "--out", "other")
    assert facts("other/videos/clip.mp4") == (10, 0.04)
    Path("page.html").write_text("<video muted></video>")
    page = browser.new_page()  # type: ignore[attr-defined]
    page.goto((here / "page.html").as_uri())
    play = """name => new Promise(done => {
        const video = document.querySelector("video");
        video.onended = () => done([video.videoWidth, video.videoHeight, video.duration]);
        video.onerror = () => done("error");
        video.src = name; video.play().catch(() => 0); })"""
    assert page.evaluate(play, "predictions/videos/clip.mp4") == [448, 336, 0.4]
    assert page.evaluate(play, "other/videos/clip.mp4") == "error"  # once it plays, mp4v can be the default


def test_unfinished_files_on_a_full_disk_are_one_line(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk; OpenCV does not report either."""
    code = (
        "import resource, signal, sys, numpy as np; from pathlib import Path\n"
        "from condetr.videos.writing import VideoWriter; from condetr.errors import CondetrError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "writer = VideoWriter(Path('a.mp4'), 25, 'mp4v'); random = np.random.default_rng(0)\n"
        "for i in range(40): writer.write(random.integers(0, 256, (96, 128, 3), dtype=np.uint8), i / 25)\n"
        "try: writer.close()\n"
        "except CondetrError as error: print(error)\n"
    )
    if sys.platform == "win32":
        pytest.skip("no limits on the size of files")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "could not be written completely. Is the disk full?\n"
    assert cv2.VideoCapture(str(tmp_path / "a.mp4"), cv2.CAP_FFMPEG).isOpened() is False

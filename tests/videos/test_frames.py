"""Frames come upright, in RGB, with the numbers and times of the container, up to where a file is damaged."""

import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import condetr
from condetr.errors import CondetrError
from condetr.videos import live
from condetr.videos.capture import Capture
from condetr.videos.frames import Video
from condetr.videos.opencv import quiet
from condetr.videos.sources import VideoError, VideoSource, source_of
from tests.videos import clips
from tests.videos.cameras import camera

pytest.importorskip("cv2")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.webm", "clip.mkv", "clip.ts"])
def test_every_frame_comes_in_rgb_with_its_number_and_time(name: str, tmp_path: Path) -> None:
    frames = list(condetr.video_frames(clips.write(tmp_path / name)))
    assert [frame.number for frame in frames] == list(range(12))
    assert [round(frame.time, 3) for frame in frames] == [round(i / 25, 3) for i in range(12)]
    assert [clips.number_in(frame.image) for frame in frames] == list(range(12))
    assert {clips.red_corner(frame.image) for frame in frames} == {"top left"}
    assert frames[0].image.shape == (48, 64, 3)


MATRICES = {
    "90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0), "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1), "transposed": (0, 1, 1, 0), "transversed": (0, -1, -1, 0),
}  # fmt: skip
STORED = {  # where the upper left corner of the stored frame belongs
    "90": "top right", "180": "bottom right", "270": "bottom left", "mirrored": "top right",
    "upside down": "bottom left", "transposed": "top left", "transversed": "bottom right",
}  # fmt: skip


@pytest.mark.parametrize("turn", MATRICES)
def test_frames_are_turned_as_the_display_matrix_says(turn: str, tmp_path: Path) -> None:
    clip = clips.rotated(clips.write(tmp_path / "clip.mp4", 2), MATRICES[turn])
    image = next(condetr.video_frames(clip)).image
    assert image.shape == ((64, 48, 3) if MATRICES[turn][0] == 0 else (48, 64, 3))
    assert clips.red_corner(image) == STORED[turn]
    assert image.flags.c_contiguous


def test_times_of_a_variable_frame_rate_are_those_of_the_container(tmp_path: Path) -> None:
    durations = [0.04, 0.04, 0.5, 0.02, 0.02, 1.0, 0.04, 0.04]
    frames = list(condetr.video_frames(clips.timed(clips.write(tmp_path / "clip.mp4", 8), durations)))
    assert [frame.time for frame in frames] == pytest.approx(np.cumsum([0, *durations[:-1]]), abs=2e-3)


def test_a_part_and_every_nth_frame(tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "clip.mp4", 60)

    def numbers(**chosen: object) -> list[int]:
        return [frame.number for frame in condetr.video_frames(str(clip), **chosen)]  # type: ignore[arg-type]

    assert numbers(every=25) == [0, 25, 50]
    assert numbers(start=1, end="1.2") == [25, 26, 27, 28, 29]
    assert numbers(start="0:01", every=20) == [25, 45]
    assert numbers(end="00:00:00.08") == [0, 1]
    assert Video(source_of(clip), every=20, start=1).expected == 2
    with pytest.raises(CondetrError, match=r"clip\.mp4: no frames from 9 s on, its last one is at 2\.36 s$"):
        numbers(start=9)
    between = r"no frames from 1\.21 s to 1\.23 s: one is at 1\.20 s, the next one at 1\.24 s$"
    with pytest.raises(CondetrError, match=between):
        numbers(start=1.21, end=1.23)
    for name, wrong, message in (
        ("every", 0, "every 0: must be at least 1"),
        ("start", "1:99", "start 1:99: give seconds, or hh:mm:ss"),
        ("start", f"{10**400}:00:00", "start 1000.*: give seconds"),
        ("end", -1, "end -1: give seconds"),
        ("retry", -1, "retry -1: must be at least 0"),
    ):
        with pytest.raises(CondetrError, match=message):
            numbers(**{name: wrong})
    with pytest.raises(CondetrError, match="end 1: must be later than start 2"):
        numbers(start=2, end=1)


@pytest.mark.parametrize("content", [b"RIFF", b"RIFF\0\0\0", b"RIFF\xff\xff\0\0AVI "])
def test_a_file_that_ends_in_its_first_bytes_is_cut(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "clip.avi").write_bytes(content)
    with pytest.raises(CondetrError, match=r"clip\.avi: cut short: bytes are missing at its end"):
        condetr.video_frames(tmp_path / "clip.avi")


def test_a_camera_is_opened_again_for_days(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(live, "_sleep", pauses.append)

    def gone(source: VideoSource) -> None:
        raise VideoError(source.name, "gone")

    monkeypatch.setattr(live, "Capture", gone)
    with pytest.raises(VideoError, match="connection lost; 2,000 new attempts failed"):
        live._again(VideoSource.camera(0), 0, 2000, lambda text: None)
    assert pauses[:6] == [1, 2, 4, 8, 16, 30]
    assert set(pauses[5:]) == {30}


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.webm"])
def test_a_cut_file_gives_its_frames_and_then_a_warning(name: str, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / name, 30)
    clips.cut(clips.index_first(clip) if clip.suffix == ".mp4" else clip)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = list(condetr.video_frames(clip))
    assert 3 < len(frames) < 30
    assert [frame.number for frame in frames] == list(range(len(frames)))
    (warning,) = caught
    last = f"frame {len(frames) - 1} at {frames[-1].time:.2f} s is the last"
    assert str(warning.message) == f"{clip}: cut short: bytes are missing at its end; {last}"


def test_a_whole_file_gives_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a.mp4", "a.avi", "a.webm", "a.mkv", "a.ts"):
            assert len(list(condetr.video_frames(clips.write(tmp_path / name)))) == 12


def test_what_is_no_video_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def reason(path: Path | str | int) -> str:
        with pytest.raises(CondetrError) as caught:
            list(condetr.video_frames(path))
        return str(caught.value)

    empty, text, sound = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "sound.wav"
    empty.touch()
    text.write_text("no video" * 100)
    header = bytes.fromhex("1000000001000100401f0000401f000001000800")
    length = (836).to_bytes(4, "little"), (800).to_bytes(4, "little")
    sound.write_bytes(b"RIFF" + length[0] + b"WAVEfmt " + header + b"data" + length[1] + b"0" * 800)
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    unfinished = clips.cut(clips.write(tmp_path / "unfinished.mp4"))
    none = clips.write(tmp_path / "none.mp4", 0)
    assert reason(empty) == f"{empty}: an empty file (0 bytes)"
    assert reason(text) == f"{text}: not a video that can be decoded: broken, without frames, or only sound"
    assert reason(sound).endswith("or only sound")
    assert reason(playlist).startswith(f"{playlist}: a playlist, not a video")
    assert "its index (moov) is missing" in reason(unfinished)
    assert reason(none).endswith("without frames, or only sound")
    assert reason(tmp_path) == f"{tmp_path}: a folder, not a video"
    assert reason(tmp_path / "nowhere.mp4").endswith(": no such file")
    assert reason("ftp://me:secret@host/a.mp4").startswith("ftp://***@host/a.mp4: ftp is not read")
    assert reason("camera:987").startswith("camera:987: no such camera, or another program uses it")
    assert reason(987) == reason("camera:987")
    assert reason("rtsp://me:secret@127.0.0.1:9/live").startswith("rtsp://***@127.0.0.1:9/live: cannot be opened")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("older", [False, True])
def test_opencv_logs_nothing_within_the_block(older: bool) -> None:
    """OpenCV 4.10 to 4.12 has the functions in cv2 itself, 4.13 and later in cv2.utils.logging."""
    levels = [3]
    log = SimpleNamespace(getLogLevel=lambda: levels[-1], setLogLevel=levels.append)
    cv2 = ModuleType("cv2")
    vars(cv2).update(vars(log) | {"utils": SimpleNamespace()} if older else {"utils": SimpleNamespace(logging=log)})
    with quiet(cv2):
        assert levels == [3, 0]
    assert levels == [3, 0, 3]


def test_without_opencv_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = clips.write(tmp_path / "clip.mp4", 1)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CondetrError, match=r"^cv2 is not installed: pip install 'condetr\[video\]'$"):
        condetr.video_frames(clip)


def test_a_stream_that_drops_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.05)
    told: list[str] = []
    with camera(8, 0, 8, 30) as host:
        video = Video(source_of(f"http://me:secret@{host}/live"), retry=2, notify=told.append)
        assert video.live
        numbers, times = [], []
        for frame in video.frames():
            numbers.append(frame.number)
            times.append(frame.time)
            if frame.number >= 30:
                break
    assert numbers == sorted(set(numbers))
    assert times == sorted(times)
    assert told[0] == "connection lost; connecting again in 0.05 s (1 of 2)"
    assert any("(2 of 2)" in line for line in told)  # the second connection has no frame: that attempt has failed


def test_a_stream_that_stays_away_is_one_line_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.02)
    with camera(5) as host:
        frames = condetr.video_frames(f"http://me:secret@{host}/live?token=abc", retry=3)
        with pytest.warns(UserWarning, match="connection lost") as warned, pytest.raises(CondetrError) as caught:
            for _ in frames:
                pass
    assert str(caught.value) == f"http://***@{host}/live?token=***: connection lost; 3 new attempts failed"
    assert len(warned) == 3
    assert "secret" not in str([str(one.message) for one in warned])


def test_a_program_can_end_while_a_frame_is_being_read() -> None:
    """It was aborted: the thread that reads was in OpenCV when Python ended."""
    with camera(1000, pause=0.1) as host:
        code = f"import condetr; frames = condetr.video_frames('http://{host}/live'); print(next(frames).number)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= 0  # on a busy machine, the first frames are over before one is asked for


def test_a_slow_reader_gets_the_newest_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    with camera(100, pause=0.01) as host:
        frames = condetr.video_frames(f"http://{host}/live", retry=0)
        first = next(frames)
        time.sleep(0.3)
        next(frames)
        later = next(frames)
        frames.close()  # type: ignore[attr-defined]
    assert first.number < 5
    assert later.number > 10
    assert clips.number_in(later.image) == later.number % 32
    assert 0.1 < later.time < 2


def test_a_capture_is_closed_when_its_reader_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Capture] = []
    close = Capture.close
    monkeypatch.setattr(Capture, "close", lambda self: (closed.append(self), close(self))[1])
    frames = condetr.video_frames(clips.write(tmp_path / "clip.mp4"))
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert len(closed) == 1

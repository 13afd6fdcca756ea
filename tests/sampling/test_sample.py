"""Sampled frames are spread evenly, differ from one another, stand upright, and never replace a file unasked."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import condetr
from condetr import cli
from condetr.errors import CondetrError
from tests.videos import clips
from tests.videos.cameras import camera


def numbers(paths: list[Path]) -> list[int]:
    return [int(re.fullmatch(r".*-(\d{6})\.jpg", path.name)[1]) for path in paths]  # type: ignore[index]


def test_frames_are_spread_evenly_and_carry_their_numbers(tmp_path: Path) -> None:
    clip = clips.rotated(clips.write(tmp_path / "my clip.mp4", 30), (-1, 0, 0, -1))
    seen: list[tuple[int, int]] = []
    paths = condetr.sample(clip, 6, tmp_path / "frames", progress=lambda done, of: seen.append((done, of)))
    assert numbers(paths) == [0, 5, 10, 15, 20, 25]
    assert [path.name for path in sorted((tmp_path / "frames").iterdir())] == [path.name for path in paths]
    assert seen[-1] == (6, 6)
    for path in paths:
        image = np.asarray(Image.open(path))
        assert clips.red_corner(image) == "bottom right"  # as the display matrix turns it
        assert clips.number_in(image[::-1, ::-1]) == numbers([path])[0]


def test_a_still_scene_gives_few_frames_and_a_change_one_more(tmp_path: Path) -> None:
    durations = [0.04] * 8 + [30.0] + [0.04] * 3
    clip = clips.timed(clips.write(tmp_path / "clip.mp4", 12), durations)
    paths = condetr.sample(clip, 10, tmp_path / "frames")
    assert 2 <= len(paths) < 10
    assert len({clips.number_in(np.asarray(Image.open(path))) for path in paths}) == len(paths)
    part = condetr.sample(clip, 3, tmp_path / "part", start=0.04, end="0.2")
    assert set(numbers(part)) <= {1, 2, 3, 4}


@pytest.mark.parametrize("rate", [0.05, 1000.0])
def test_a_time_lapse_and_slow_motion_are_spread_evenly_too(tmp_path: Path, rate: float) -> None:
    """What OpenCV says of their rates is not used, but the times of their frames are."""
    clip = clips.write(tmp_path / "clip.mp4", 40, rate=rate)
    found = numbers(condetr.sample(clip, 10, tmp_path / "frames"))
    assert np.abs(np.array(found) - np.arange(0, 40, 4)).max() <= 2


def test_a_cut_file_gives_as_many_frames_as_a_whole_one(tmp_path: Path) -> None:
    clip = clips.cut(clips.write(tmp_path / "clip.mkv", 60))
    with pytest.warns(UserWarning, match="cut short"):
        assert len(condetr.sample(clip, 10, tmp_path / "frames")) == 10


def test_files_are_replaced_only_when_asked(tmp_path: Path) -> None:
    clip, out = clips.write(tmp_path / "clip.mp4", 10), tmp_path / "frames"
    first = condetr.sample(clip, 2, out)
    (out / "clip-000000.jpg").write_bytes(b"labelled")
    with pytest.raises(CondetrError, match=r"frames: has frames of clip already \(2, such as clip-000000.jpg\)"):
        condetr.sample(clip, 5, out)
    assert (out / "clip-000000.jpg").read_bytes() == b"labelled"
    condetr.sample(clips.write(tmp_path / "clip-2.mp4", 3), 1, out)  # another video is no obstacle
    assert condetr.sample(clip, 2, out, overwrite=True) == first
    assert Image.open(out / "clip-000000.jpg").size == (64, 48)


def test_the_command_says_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clips.write(Path("clip.mp4"), 20)
    clips.cut(clips.index_first(clips.write(Path("cut.mp4"), 30)))

    def run(*words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(cli.app, ["sample", *words], catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    assert run("clip.mp4", "--count", "4") == (0, "4 frames: see frames\n", "")
    with pytest.raises(CondetrError, match="has frames of clip already"):
        run("clip.mp4", "--count", "4")
    status, stdout, stderr = run("cut.mp4", "nowhere.mp4", "--count", "3", "--out", "more")
    assert status == 1
    assert re.fullmatch(r"[123] frames?: see more\n", stdout)
    assert stderr.splitlines()[0].startswith("condetr: cut.mp4: cut short: bytes are missing at its end; frame ")
    assert stderr.splitlines()[-1] == "condetr: nowhere.mp4: no such file"
    endless = r"\*\*\*@.*: a camera or stream has no end. Give --end in seconds"
    with camera(500) as host, pytest.raises(CondetrError, match=endless):
        run(f"http://me:secret@{host}/live", "--out", "live")
    with camera(500) as host:
        assert run(f"http://me:secret@{host}/live", "--out", "live", "--end", "0.6", "--count", "3")[0] == 0
    assert 1 <= len(list(Path("live").iterdir())) <= 3
    assert not any("secret" in path.name for path in Path("live").iterdir())

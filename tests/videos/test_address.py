"""No password, user name or token of an address is shown or becomes part of a file name."""

import pytest

from condetr.videos.address import file_stem, shown
from condetr.videos.sources import source_of
from condetr.videos.times import seconds_of


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("rtsp://me:secret@cam.local:554/stream1", "rtsp://***@cam.local:554/stream1"),
        ("rtsp://me:sec/ret@cam/1", "rtsp://***@cam/1"),
        ("rtsp://me:s@cr@t@cam/1", "rtsp://***@cam/1"),
        ("rtsp://me:sec#ret?@cam/1", "rtsp://***@cam/1"),
        ("http://secret@cam/video", "http://***@cam/video"),
        ("http://me:sec/ret@cam/video", "http://***@cam/video"),
        ("https://host/@someone/video", "https://host/@someone/video"),
        ("https://host:8080/@someone/video", "https://host:8080/@someone/video"),
        ("http://cam/v?user=me&password=secret&channel=2", "http://cam/v?user=***&password=***&channel=2"),
        ("http://cam/cgi?loginuse=me&loginpas=secret", "http://cam/cgi?loginuse=***&loginpas=***"),
        ("https://host/live.m3u8?access_token=secret", "https://host/live.m3u8?access_token=***"),
        ("rtsp://cam/user=me_password=secret_channel=1_stream=0.sdp", "rtsp://cam/user=***_password=***_channel=1_stream=0.sdp"),
        ("https://b.s3/x.mp4?X-Amz-Signature=secret&X-Amz-Date=1", "https://b.s3/x.mp4?X-Amz-Signature=***&X-Amz-Date=1"),
        ("rtsp://[::1]:554/live", "rtsp://[::1]:554/live"),
        ("videos/me:secret@home.mp4", "videos/me:secret@home.mp4"),
    ],
)  # fmt: skip
def test_secrets_are_hidden(address: str, safe: str) -> None:
    assert shown(address) == safe
    assert "secret" not in repr(source_of(address)) or "://" not in address
    assert "secret" not in file_stem(address) or "://" not in address


def test_files_of_a_stream_have_its_host_and_path() -> None:
    assert file_stem("rtsp://me:pw@cam.local:554/live/stream1?x=1") == "cam.local-554-stream1"
    assert file_stem("rtsp://cam/user=me_password=pw_channel=1.sdp") == "cam"
    assert file_stem("udp://@:1234") == "stream" or "1234" in file_stem("udp://@:1234")


def test_positions_are_seconds_or_a_clock() -> None:
    assert [seconds_of(text, "start") for text in (None, 90, "90.5", "1:30", "00:01:30.25", "100:00:00")] == [
        None, 90.0, 90.5, 90.0, 90.25, 360000.0,
    ]  # fmt: skip

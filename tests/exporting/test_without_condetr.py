"""An exported file needs nothing of this package, and neither exporting nor running it opens a connection."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from condetr.checkpoint import save
from condetr.predicting.exported import write
from condetr.predicting.predictor import Predictor
from tests.runtime.exported import exported, weights, with_nms, without_shape_checks

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys
for name in ("condetr", "torch"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
exec(compile(open(sys.argv[0], encoding="utf-8").read(), sys.argv[0], "exec"))
"""
OFFLINE_SOCKETS = """  # libraries send usage data in threads, where an exception would pass unnoticed
import os, socket, sys
def refuse(*arguments, **options):
    os.write(2, b"a connection")
    os._exit(9)
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.create_connection = refuse
"""
PLAIN = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "SYSTEMROOT", "TEMP", "TMPDIR")
PREDICTS = """
import condetr, numpy as np
for file in sys.argv[1:]:
    print(len(condetr.Predictor.load(file)(np.zeros((50, 60, 3), np.uint8), 0.0)))
"""
EXPORTS = """
import condetr
condetr.export(sys.argv[1], format="openvino", out=sys.argv[2] + "/a.xml")
condetr.Predictor.load(sys.argv[2] + "/a.xml")
print(condetr.Predictor.load(sys.argv[1], runtime="onnx").runtime.file)
"""


def python(code: str, *arguments: str, **environment: str) -> str:
    """The output of a plain process: without the variables by which libraries recognise tests and CI."""
    plain = {key: value for key, value in os.environ.items() if key in PLAIN}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=plain | environment
    )
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize(("nms", "count"), [(None, 14), (0.3, None)])
def test_the_program_of_the_page_prints_the_same_detections(
    tmp_path: Path, nms: float | None, count: int | None
) -> None:
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    (program,) = re.findall(r'```python title="detect.py"\n(.*?)```', page, re.S)
    assert len([line for line in program.splitlines() if line]) <= 30
    (tmp_path / "detect.py").write_text(program, encoding="utf-8")
    file = tmp_path / "a.onnx"
    with without_shape_checks():
        write(with_nms(weights("tiny"), nms), file)
    for shape in ((90, 141, 3), (1, 400, 3)):
        Image.fromarray(np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / "a.png")
        output = python(BLOCKED, str(tmp_path / "detect.py"), str(file), str(tmp_path / "a.png"), PYTHONUTF8="1")
        expected = Predictor.load(file)(tmp_path / "a.png")
        assert len(expected) == count if count else 1 < len(expected) < 14
        found = [line.rsplit(" ", 5) for line in output.splitlines()]
        assert [line[0] for line in found] == expected.names
        for line, one in zip(found, expected):
            assert [float(value) for value in line[1:]] == pytest.approx([one.score, *one.box], abs=0.06)


def test_running_a_file_sends_no_usage_data(tmp_path: Path) -> None:
    """onnxruntime sends from native code: that it has made no name for this machine shows that it does not."""
    (tmp_path / "cache").mkdir()
    files = [str(exported("tiny")), str(exported("tiny", "openvino"))]
    folders = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert python(OFFLINE_SOCKETS + PREDICTS, *files, **folders) == "14\n14\n"
    assert [one.name for one in tmp_path.rglob("*")] == ["cache"]


@pytest.mark.slow
def test_exporting_and_running_open_no_connection(tmp_path: Path) -> None:
    save(tmp_path / "weights", weights("nano"))
    (tmp_path / "out").mkdir()
    cache = str(tmp_path / "cache")
    file = python(
        OFFLINE_SOCKETS + EXPORTS,
        str(tmp_path / "weights"),
        str(tmp_path / "out"),
        XDG_CACHE_HOME=cache,
        HOME=str(tmp_path),
    )
    assert Path(file.strip()).parent == tmp_path / "cache" / "condetr" / "exported"
    assert {one.name for one in tmp_path.iterdir()} == {"weights", "out", "cache"}
    assert [one.name for one in (tmp_path / "cache").iterdir()] == ["condetr"]

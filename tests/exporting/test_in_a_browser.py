"""The page of the documentation that runs an exported file in a browser finds what `Predictor` finds.

The library that it needs, onnxruntime-web, is not fetched: CONDETR_ONNXRUNTIME_WEB names the `dist` folder of its npm
package.
"""

import os
import re
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from condetr.predicting.exported import write
from condetr.predicting.predictor import Predictor
from tests.browser import chromium
from tests.runtime.exported import weights, with_nms, without_shape_checks

LIBRARY = os.environ.get("CONDETR_ONNXRUNTIME_WEB", "")
PAGE = Path(__file__).parents[2] / "docs" / "export.md"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def _close(found: list[float], expected: list[float]) -> bool:
    return found[0] == pytest.approx(expected[0], abs=0.0011) and found[1:] == pytest.approx(expected[1:], abs=0.11)


@pytest.mark.skipif(not LIBRARY, reason="CONDETR_ONNXRUNTIME_WEB names no folder with onnxruntime-web")
@pytest.mark.parametrize("nms", [None, 0.3])
def test_the_page_finds_what_the_predictor_finds(tmp_path: Path, nms: float | None) -> None:
    (page,) = re.findall(r'```html title="detect.html"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.S)
    (tmp_path / "detect.html").write_text(page, encoding="utf-8")
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        shutil.copy(Path(LIBRARY) / name, tmp_path)
    with without_shape_checks():
        write(with_nms(weights("tiny"), nms), tmp_path / "birds.onnx")
    random = np.random.default_rng(5)
    shapes = {"larger": (190, 141), "smaller": (40, 33), "long": (20, 400), "half": (101, 214), "very long": (1, 400)}
    for name, shape in shapes.items():
        Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    with Image.open(resources.files("condetr.datasets") / "embedded" / "flower.jpg") as photo:
        photo.save(tmp_path / "photo.jpg", quality=90, exif=upside_down)
    predictor = Predictor.load(tmp_path / "birds.onnx")
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server,
        chromium() as browser,
    ):
        Thread(target=server.serve_forever, daemon=True).start()
        tab = browser.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(f"http://127.0.0.1:{server.server_port}/detect.html")
        tab.wait_for_function("document.querySelector('input').onchange !== null")
        for file in (*tmp_path.glob("*.png"), tmp_path / "photo.jpg"):
            tab.evaluate("document.querySelector('pre').textContent = ''")
            tab.set_input_files("input", file)
            tab.wait_for_function("document.querySelector('pre').textContent")
            found = [line.rsplit(" ", 5) for line in tab.inner_text("pre").splitlines()]
            expected = predictor(file)
            assert len(found) == len(expected)
            for name, score, *box in found:  # scores of nearly the same size may change places
                values = [float(score), *map(float, box)]
                same = [one for one in expected if one.name == name and _close(values, [one.score, *one.box])]
                assert same, (file.name, name, values)
        server.shutdown()
    assert not errors

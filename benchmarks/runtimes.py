"""Compares what executes an exported detector with transformers in fp32, same weights: one image of 640 × 640, R50.

    python -m benchmarks.runtimes [--rounds 15] [--threads 2] [--quick]

torch is what executes a folder of weights. onnxruntime and OpenVINO execute the file that `condetr export` writes. The
int8 file is calibrated on photographs of the package: with weights that are not trained it shows the speed, not the AP.
The time to write the ONNX file is below the table.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.pairing import Work, options, seconds
from benchmarks.peers import as_they_take, detector, transformers_of
from condetr.build import build_prepare
from condetr.checkpoint import Weights
from condetr.interchange import coco_categories
from condetr.predicting.exported import facts_of, graph_of
from condetr.predicting.predictor import Predictor
from condetr.runtime.agreement import example_images
from condetr.runtime.quantise import PARTS, write_quantised
from condetr.runtime.translate import write_onnx
from condetr.types import Images

SIZE = (640, 640)


def predictors(weights: Weights, onnx: Path, int8: Path) -> dict[str, Predictor]:
    load = Predictor.load
    return {
        "torch, fp32": Predictor(weights),
        "torch, bf16": Predictor(weights, precision="bf16"),
        "onnxruntime, fp32": load(onnx),
        "OpenVINO, fp32": load(onnx, runtime="openvino"),
        "OpenVINO, bf16": load(onnx, precision="bf16", runtime="openvino"),
        "OpenVINO, int8": load(int8),
        "OpenVINO, int8, the rest in bf16": load(int8, precision="bf16"),
    }


def main() -> None:
    given = options(__doc__, rounds=15)
    ours, config = detector("conditional_detr_r50")
    theirs = transformers_of(ours, config, supervised=False)
    weights = Weights(ours, config, coco_categories(), None)
    batch = as_they_take(Images.pad([torch.randn(3, *SIZE)]))
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)

    def transformers() -> None:
        with torch.inference_mode():
            theirs(**batch)

    with tempfile.TemporaryDirectory() as folder:
        onnx, int8 = Path(folder) / "r50.onnx", Path(folder) / "r50.xml"
        start = time.perf_counter()
        graph = graph_of(weights)
        facts = facts_of(weights, graph.ragged, "fp32")
        write_onnx(graph, facts, onnx)
        written = time.perf_counter() - start
        prepare = build_prepare(config.data)
        calibration = [prepare.scale(photo) for photo in example_images().values()]
        write_quantised(onnx, facts, calibration, len(calibration), tuple(PARTS), int8)
        work: dict[str, Work] = {"transformers, fp32": transformers}
        for name, one in predictors(weights, onnx, int8).items():
            work[name] = lambda one=one: one.runtime.detect([image], [SIZE], one.categories, 100)  # type: ignore[misc]
        times = seconds(work, given.rounds)
    print("| | time | relative |\n|---|---|---|")
    for name, value in times.items():
        print(f"| {name} | {value * 1e3:.0f} ms | **{value / times['transformers, fp32']:.2f}** |")
    print(f"\n- the ONNX file is written in {written:.0f} s; load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()

"""How a trained detector is executed: with torch, folded for inference, or as a file with onnxruntime or OpenVINO.

`runtime` is the interface. `torch_runtime`, with `folded` and `constants`, executes a detector in memory.
`exported_graph`, `translate`, `quantise` and `file_facts` write a file; `file_runtime`, `onnx_runtime` and
`openvino_runtime` execute it. `agreement` compares the detections of two runtimes.
"""

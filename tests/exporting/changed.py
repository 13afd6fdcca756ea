"""Exported files with other weights, as a careless tool might leave them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx


def change_initializers(file: Path, word: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the float tensors that the nodes of a part of the model read: those whose names have `word` in them."""
    model = onnx.load(file)
    read = {name for node in model.graph.node if word in node.name for name in node.input}
    changed = 0
    for tensor in model.graph.initializer:
        if tensor.name in read and tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(change(values).astype(np.float32), tensor.name))
            changed += 1
    assert changed, word
    onnx.save(model, file)

"""transformers is the independent reference. Its backbone comes from timm, which imports torchvision, whose ordinary
wheel stops a CPU torch at import; declaring the two operators it asks for is enough."""

import os

import torch

os.environ["HF_HUB_OFFLINE"] = "1"
if not hasattr(torch.ops.torchvision, "nms"):
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

"""transformers' preprocessor_config.json → the size of our images: every field is read, without effect, or refused."""

import math
from pathlib import Path
from typing import Any

from .. import config
from ..errors import ConfigError
from ..images.prepare import MEAN, STD
from .fields import Fixed, check_fields, refused
from .loading import read_json

PROCESSORS = {
    f"{model}{kind}"
    for model in ("Detr", "ConditionalDetr", "DeformableDetr")
    for kind in ("ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor")
}
READ = {
    "size", "max_size", "image_mean", "image_std", "rescale_factor", "image_processor_type", "feature_extractor_type",
}  # fmt: skip
FIXED: Fixed = {
    "do_resize": ((True,), "condetr's images are always resized"),
    "do_rescale": ((True,), "condetr's pixels are always divided by 255"),
    "do_normalize": ((True,), "condetr's pixels are always normalised with ImageNet's mean and deviation"),
    "resample": ((2, None), "condetr resizes with Pillow's bilinear filter, which is 2"),
    "do_center_crop": ((False, None), "condetr's images are not cropped"),
    "size_divisor": ((None,), "condetr's sizes are not rounded"),
    "size_divisibility": ((None, 0), "condetr's sizes are not rounded"),
}
READ_SIZES = "condetr keeps the shape of an image. It reads shortest_edge with longest_edge, and max_height = max_width"
# padding is masked, and does not change the features of an image; the rest is about labels and calls
NO_EFFECT = {
    "do_pad", "pad_size", "pad_and_return_pixel_mask", "format", "do_convert_annotations", "do_convert_rgb",
    "crop_size", "default_to_square", "data_format", "input_data_format", "device", "return_tensors",
    "disable_grouping", "image_seq_length", "return_segmentation_masks", "masks_path", "do_reduce_labels",
    "reduce_labels", "model_input_names", "processor_class", "_processor_class", "_valid_processor_keys",
    "transformers_version", "_name_or_path", "name_or_path", "_commit_hash", "ignore_index",
}  # fmt: skip


def image_size(folder: Path) -> dict[str, int | float]:
    """`size` and `longest` of our `data` settings, as the folder's image processor has them; empty without one.

    Raises WeightsError naming a setting that condetr's images cannot follow.
    """
    file, values = _image_processor(folder)
    if not values:
        return {}
    check_fields(values, READ, FIXED, NO_EFFECT, file, "")
    for key in ("image_processor_type", "feature_extractor_type"):
        name = values.get(key)
        if name is not None and not (isinstance(name, str) and name in PROCESSORS):
            raise refused(file, key, name, "condetr reads DetrImageProcessor and ConditionalDetrImageProcessor")
    for key, ours in (("image_mean", MEAN), ("image_std", STD), ("rescale_factor", (1 / 255,))):
        value = values.get(key)
        if value is not None and not _close(value if isinstance(value, list) else [value], ours):
            raise refused(file, key, value, f"condetr's images have {_shown(ours)}")
    return _sides(values, file)


def _image_processor(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The settings of the image processor and their file; the newer file takes precedence, as in transformers 5."""
    file = folder / "processor_config.json"
    if file.exists():
        settings = read_json(file)
        nested = settings.get("image_processor")
        if isinstance(nested, dict):
            return file, nested
        if "image_processor" in settings:
            raise refused(file, "image_processor", nested, "it must be an object, the settings of an image processor")
    file = folder / "preprocessor_config.json"
    return file, read_json(file) if file.exists() else {}


def _close(values: list[Any], ours: tuple[float, ...]) -> bool:
    numbers = [value for value in values if isinstance(value, int | float)]
    return len(numbers) == len(values) == len(ours) and all(
        math.isclose(a, b, rel_tol=1e-5) for a, b in zip(numbers, ours)
    )


def _shown(ours: tuple[float, ...]) -> str:
    return "1/255" if len(ours) == 1 else f"ImageNet's, {list(ours)}"


def _sides(values: dict[str, Any], file: Path) -> dict[str, int | float]:
    """`size` and `longest`: the short side, and the limit of the long side as a multiple of it.

    `max_height` and `max_width` of one length S put an image into a square of S: its long side is S, so the short side
    is limited by the long one alone.
    """
    size = values.get("size")
    if size is None:
        return {}
    if isinstance(size, int) and not isinstance(size, bool):  # as transformers wrote it before version 4.26
        size = {"shortest_edge": size, "longest_edge": values.get("max_size", 1333)}
    sides = {key: side for key, side in size.items() if side is not None} if isinstance(size, dict) else {}
    if not all(type(side) in (int, float) and 0 < side < 1e6 for side in sides.values()):
        raise refused(file, "size", size, "its sides must be pixels")
    if set(sides) == {"shortest_edge", "longest_edge"}:
        short, long = sides["shortest_edge"], sides["longest_edge"]
        if long < short:
            raise refused(file, "size", size, "longest_edge is less than shortest_edge")
        found = {"size": short, "longest": long / short}
    elif set(sides) == {"max_height", "max_width"} and sides["max_height"] == sides["max_width"]:
        found = {"size": sides["max_height"], "longest": 1.0}
    else:
        raise refused(file, "size", size, READ_SIZES)
    try:
        config.parse({"data": found}, None)
    except ConfigError as error:
        raise refused(file, "size", size, f"condetr's {error.setting} {error.reason}") from None
    return found

"""Settings of the images: their size and their augmentation."""

from typing import Annotated, Literal

from pydantic import Field

from .strict import Strict

Scale = Annotated[float, Field(gt=0, le=64)]  # a multiple of `size`


class Data(Strict):
    """How images are resized and augmented. `size` is the short side in pixels at test time; the sizes of the
    augmentation are multiples of it, so that one number rescales the whole recipe. At 800 they are the papers'."""

    size: int = Field(800, ge=32, le=4096, description="short side of an image in pixels, at test time")
    enlarge: float = Field(
        0.0,
        ge=0,
        le=16,
        description="enlarge images, at most twofold, until half of the objects measure this many strides of the "
        "model; 0: never",
    )
    longest: float = Field(1333 / 800, ge=1, le=64, description="limit of the long side, as a multiple of `size`")
    scales: tuple[Scale, ...] = Field(
        tuple(round(0.6 + 0.04 * i, 2) for i in range(11)),
        min_length=1,
        description="short sides of training images, as multiples of `size`: at 800, 480 … 800 in steps of 32",
    )
    crop_chance: float = Field(
        0.5, ge=0, le=1, description="how often a training image is cropped at random, before it is resized"
    )
    crop_scales: tuple[Scale, ...] = Field(
        (0.5, 0.625, 0.75),
        min_length=1,
        description="short sides to which an image is resized before it is cropped, as multiples of `size`",
    )
    crop_smallest: float = Field(0.48, gt=0, description="smallest side of a crop, as a multiple of `size`")
    crop_largest: float = Field(0.75, gt=0, description="largest side of a crop, as a multiple of `size`")
    flip_chance: float = Field(0.5, ge=0, le=1, description="how often a training image is mirrored")
    color: float = Field(
        0.0, ge=0, le=2, description="strength of random changes of brightness, contrast, saturation and hue; 0: none"
    )
    mosaic_chance: float = Field(0.0, ge=0, le=1, description="how often four images are shown at once, as a mosaic")
    mosaic_smallest: float = Field(
        0.5, gt=0, le=1, description="size of the smallest images of a mosaic, as a multiple of their usual size"
    )
    zoom_out_chance: float = Field(
        0.0, ge=0, le=1, description="how often an image is shown up to two times smaller, on a plain background"
    )
    close_at: float = Field(
        1.0, ge=0, le=1, description="the fraction of the epochs after which there is no mosaic and no zooming out"
    )
    cache: Literal["none", "memory"] = Field(
        "memory", description="memory: decoded training images are kept, as many as fit"
    )

"""Settings of the model: its scoring, its decoder and its sizes."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .backbone import Backbone
from .strict import Strict


class Softmax(Strict):
    """DETR: cross-entropy over the K classes and 'no object'."""

    kind: Literal["softmax"] = "softmax"
    background_weight: float = Field(0.1, gt=0, description="weight of 'no object' in the cross-entropy")


class Focal(Strict):
    """Conditional DETR: sigmoid focal loss."""

    kind: Literal["focal"] = "focal"
    alpha: float = Field(0.25, ge=0, le=1, description="weight of positives; that of negatives is 1 - alpha")
    gamma: float = Field(2.0, ge=0, description="how much less easy queries weigh than hard ones")


class IouTargets(Strict):
    """Settings of both losses whose targets depend on the IoU, so that the score learns how well the box fits. The
    matching cost is that of focal scoring."""

    kind: Literal["iou_aware", "mal"]
    ramp: float = Field(
        0.15, ge=0, le=1, description="share of the run's steps over which the target goes from 1 to the IoU-aware one"
    )
    class_weight: float = Field(
        1.0, ge=0, description="weight of the class loss; loss.classes then weighs only the matching cost"
    )


class IouAware(IouTargets):
    """Align-DETR's loss."""

    kind: Literal["iou_aware"] = "iou_aware"


class Matchability(IouTargets):
    """DEIM's matchability-aware loss."""

    kind: Literal["mal"] = "mal"


Scoring = Softmax | Focal | IouAware | Matchability


class Detr(Strict):
    """DETR's decoder, which has no settings of its own."""

    kind: Literal["detr"] = "detr"


SpatialQuery = Literal[
    "diagonal", "identity", "scalar", "block", "full", "reference_only", "transform_only", "content_only",
    "from_content",
]  # fmt: skip


FORMS = "form of the spatial query. diagonal: as published. The others are those of the paper's ablations"


class Conditional(Strict):
    """Conditional DETR's decoder. The forms of the spatial query are in `condetr.model.spatial_query`."""

    kind: Literal["conditional"] = "conditional"
    spatial_query: SpatialQuery = Field("diagonal", description=FORMS)
    start: Literal["published", "local"] = Field(
        "published",
        description="initial attention. published: uniform, as in the paper. local: around the reference point",
    )


class Refining(Strict):
    """Conditional DETR whose queries are boxes, which each layer refines. Needs model.reference=anchors."""

    kind: Literal["refining"] = "refining"
    spatial_query: SpatialQuery = Field("diagonal", description=FORMS)
    start: Literal["published", "local"] = Field(
        "published",
        description="initial attention. published: uniform. local: around the box, also of the box bias",
    )
    box_bias: Literal["none", "linear", "log"] = Field(
        "none",
        description="a bias of the cross-attention around the box, learned from the distances of its sides in pixels "
        "or in their logarithms",
    )
    bias_hidden: int = Field(64, ge=1, le=4096, description="width of the bias's MLPs; 512 in Plain-DETR")
    size_modulation: bool = Field(False, description="divide the spatial query by the size of the box (DAB-DETR)")
    boxes: Literal["logit", "relative"] = Field(
        "logit", description="what is added to a box: logits, or shares of its size"
    )


class Model(Strict):
    """The detector. `dim` is the number of channels D of `condetr.model`, `heads` H, `queries` N."""

    backbone: Backbone = Backbone()
    scoring: Annotated[Scoring, Field(discriminator="kind")] = Focal()
    decoder: Annotated[Detr | Conditional | Refining, Field(discriminator="kind")] = Conditional()
    reference: Literal["centre", "learned", "predicted", "anchors"] = Field(
        "predicted", description="where a query starts: a point, or with anchors a box, which a refining decoder needs"
    )
    keys: Literal["encoder", "fused", "multi_scale"] = Field(
        "encoder",
        description="what the decoder attends to. fused: the encoder's output at half its stride, fused with the "
        "features of the backbone's stage before the last. multi_scale: half of the heads attend to the encoder's "
        "output, the others to fused keys",
    )
    dim: int = Field(256, ge=8, le=4096, multiple_of=4, description="channels of the transformer")
    heads: int = Field(8, ge=1, le=256, description="attention heads; `dim` is a multiple of it")
    hidden: int = Field(2048, ge=1, le=65536, description="width of the feed-forward networks")
    encoder_layers: int = Field(6, ge=0, le=64, description="layers of the encoder")
    decoder_layers: int = Field(6, ge=1, le=64, description="layers of the decoder")
    queries: int = Field(300, ge=1, le=10000, description="object queries: the maximum number of objects in an image")
    query_bias: Literal["none", "learned"] = Field(
        "none", description="a bias of each query's class logits, which condetr grow gives to the queries that it adds"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout in the transformer")
    nms: float | None = Field(
        None, ge=0, le=1,
        description="non-maximum suppression: of two detections of a class with a higher IoU, the one with the lower "
        "score is left out. null: all are kept, as in the papers",
    )  # fmt: skip

    @model_validator(mode="after")
    def _heads_fit(self) -> "Model":
        if self.dim % self.heads:
            raise ValueError(f"dim={self.dim} is not a multiple of heads={self.heads}")
        return self

    @model_validator(mode="after")
    def _keys_fit(self) -> "Model":
        if self.keys != "encoder" and self.backbone.dilated:
            raise ValueError(f"keys={self.keys} does not fit a dilated last stage (DC5): set model.backbone.stride=32")
        if self.keys == "multi_scale" and self.decoder.kind == "detr":
            raise ValueError("keys=multi_scale does not fit decoder.kind=detr: set model.keys=fused")
        if self.keys == "multi_scale" and self.heads % 2:
            raise ValueError(f"keys=multi_scale needs an even number of heads, not {self.heads}: set model.heads")
        return self

    @model_validator(mode="after")
    def _reference_fits(self) -> "Model":
        if (self.decoder.kind == "refining") != (self.reference == "anchors"):
            fitting = "reference=anchors" if self.decoder.kind == "refining" else "decoder.kind=refining"
            raise ValueError(
                f"decoder.kind={self.decoder.kind} does not fit reference={self.reference}: set model.{fitting}"
            )
        return self

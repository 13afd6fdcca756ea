"""Builds every object from its config: models, losses, learners, optimizers. No module below takes a config."""

import torch
from torch import nn

from . import config
from .engine.ema import Decay, limited
from .engine.optimizer import adamw
from .engine.schedule import FlatCosine, Schedule, Steps, drop_epoch, warmup_steps
from .images.augment import Augment, Augmentation
from .images.prepare import Prepare
from .iou_scoring import IouAwareScoring, MatchabilityScoring
from .model.attention import ConditionalCrossAttention, MultiScaleCrossAttention
from .model.backbone import Backbone, ExactPadding, PublishedPadding
from .model.box_bias import AxialBoxBias, BoxBias, LinearDistance, LogDistance, MultiScaleBoxBias, NoBoxBias
from .model.box_offsets import BoxOffsets, LogitOffsets, RelativeOffsets
from .model.decoders import ConditionalDecoder, Decoder, DetrDecoder
from .model.detector import Detector, Heads
from .model.encoder import Encoder
from .model.initialise import (
    initialise_boxes,
    initialise_conditional_heads,
    initialise_locally,
    initialise_transformer,
)
from .model.keys import EncoderKeys, FusedKeys, Keys, MultiScaleKeys
from .model.norms import ChannelNorm, FrozenBatchNorm
from .model.query_bias import LearnedQueryBias, NoQueryBias
from .model.reference import Anchors, Centre, Learned, Predicted, Reference
from .model.refining import Modulation, NoModulation, RefiningDecoder, SizeModulation
from .model.resnet import BasicBlock, Bottleneck, ResNet
from .model.spatial_query import (
    BlockDiagonal,
    ContentOnly,
    Diagonal,
    FromContent,
    Identity,
    Scalar,
    SpatialQuery,
    TransformOnly,
)
from .model.timm_backbone import Batching, PaddedBatch, UnpaddedBatches, timm_backbone
from .objective.denoising import CONTRASTIVE, POSITIVE, DenoisingQueries
from .objective.learners import DetectorQueries, Learner, TrainingQueries
from .objective.matching import Matcher
from .objective.one_to_many import CLASS_WEIGHT, OneToMany
from .objective.query_groups import GroupedQueries
from .objective.set_loss import LossWeights, SetLoss
from .objective.supervision import OneToOne, Supervision
from .scoring import FocalScoring, Scoring, SoftmaxScoring


def build_detector(c: config.Model, classes: int) -> Detector:
    """A randomly initialised detector; pretrained weights are loaded afterwards."""
    backbone = build_backbone(c.backbone, finer=c.keys != "encoder")
    detector = Detector(
        backbone=backbone,
        project=nn.Conv2d(backbone.channels, c.dim, kernel_size=1),
        encoder=Encoder(c.dim, c.heads, c.hidden, c.encoder_layers, c.dropout),
        queries=nn.Embedding(c.queries, c.dim),
        reference=build_reference(c),
        decoder=build_decoder(c),
        heads=Heads(c.dim, build_scoring(c.scoring).num_logits(classes), build_box_offsets(c.decoder)),
        query_bias=LearnedQueryBias(c.queries, classes) if c.query_bias == "learned" else NoQueryBias(),
        keys=build_keys(c, backbone.finer_channels),
    )
    initialise_transformer(detector)
    match c.decoder, detector.decoder:
        case config.Conditional(start="local"), ConditionalDecoder() as decoder:
            initialise_locally(decoder)
        case config.Refining(start=start), RefiningDecoder() as decoder:
            nn.init.zeros_(detector.queries.weight)  # initial embeddings, which are zero in the published models
            initialise_boxes(decoder, local=start == "local")
    if c.scoring.kind != "softmax":
        initialise_conditional_heads(detector.heads)
    return detector


def build_learner(detector: Detector, loss: SetLoss, c: config.Train) -> Learner:
    """The detector with its loss and what only training adds. Added weights are drawn from the run's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(c.seed)
        supervision = build_supervision(detector, loss, c)
        parts: list[TrainingQueries] = []
        if c.groups > 1:
            parts.append(GroupedQueries(detector, supervision, c.groups))
        else:
            parts.append(DetectorQueries(supervision))
        if c.denoising:
            head = detector.heads.classes
            kinds = CONTRASTIVE if c.denoising_noise == "contrastive" else POSITIVE
            parts.append(DenoisingQueries(loss.scoring, head.out_features, head.in_features, c.denoising, kinds))
        return Learner(detector, parts).to(detector.queries.weight.device)


def build_supervision(detector: Detector, loss: SetLoss, c: config.Train) -> Supervision:
    """`one_to_many` needs a scoring with a sigmoid for each class."""
    match c.supervision:
        case "one_to_one":
            return OneToOne(loss)
        case "one_to_many":
            head = detector.heads.classes
            return OneToMany(loss, head.in_features, head.out_features)


def build_backbone(c: config.Backbone, finer: bool = False) -> Backbone:
    """`finer`: it also returns the features of the stage before the last. Raises ConfigError for a timm network that
    does not exist or cannot be a backbone."""
    if c.timm_name:
        batching: Batching = UnpaddedBatches() if c.padding == "exact" else PaddedBatch()
        learned = c.norm == "learned_batch"
        backbone: Backbone = timm_backbone(c.timm_name, c.stride, c.dilated, finer, batching, learned)
    else:
        backbone = build_resnet(c, finer)
    backbone.train_from(c.trains_from)
    return backbone


def build_resnet(c: config.Backbone, finer: bool) -> ResNet:
    shapes: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...], tuple[int, ...]]] = {
        "nano": (BasicBlock, (1, 1, 1, 1), (32, 64, 128, 256)),
        "resnet18": (BasicBlock, (2, 2, 2, 2), (64, 128, 256, 512)),
        "resnet34": (BasicBlock, (3, 4, 6, 3), (64, 128, 256, 512)),
        "resnet50": (Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512)),
        "resnet101": (Bottleneck, (3, 4, 23, 3), (64, 128, 256, 512)),
    }
    block, blocks, widths = shapes[c.name]
    return ResNet(
        block,
        blocks[: c.last_stage],
        widths[: c.last_stage],
        dilated=c.dilated,
        norm=ChannelNorm if c.norm == "channel" else FrozenBatchNorm,
        padding_rule=ExactPadding() if c.padding == "exact" else PublishedPadding(),
        finer=finer,
    )


def build_reference(c: config.Model) -> Reference:
    match c.reference:
        case "centre":
            return Centre()
        case "learned":
            return Learned(c.queries)
        case "predicted":
            return Predicted(c.dim)
        case "anchors":
            return Anchors(c.queries)


def build_keys(c: config.Model, finer_channels: int) -> Keys:
    match c.keys:
        case "encoder":
            return EncoderKeys()
        case "fused":
            return FusedKeys(finer_channels, c.dim)
        case "multi_scale":
            return MultiScaleKeys(finer_channels, c.dim)


def build_decoder(c: config.Model) -> Decoder:
    cross_attention = MultiScaleCrossAttention if c.keys == "multi_scale" else ConditionalCrossAttention
    match c.decoder:
        case config.Detr():
            return DetrDecoder(c.dim, c.heads, c.hidden, c.decoder_layers, c.dropout)
        case config.Conditional(spatial_query=form):
            spatial_query = build_spatial_query(form, c.dim, c.heads)
            return ConditionalDecoder(
                c.dim, c.heads, c.hidden, c.decoder_layers, c.dropout, spatial_query, cross_attention
            )
        case config.Refining():
            return RefiningDecoder(
                c.dim, c.heads, c.hidden, c.decoder_layers, c.dropout,
                build_spatial_query(c.decoder.spatial_query, c.dim, c.heads),
                build_modulation(c.decoder, c.dim),
                [build_box_bias(c.decoder, c) for _ in range(c.decoder_layers)],
                cross_attention,
            )  # fmt: skip


def build_modulation(c: config.Refining, dim: int) -> Modulation:
    return SizeModulation(dim) if c.size_modulation else NoModulation()


def build_box_bias(c: config.Refining, model: config.Model) -> BoxBias:
    if model.keys == "multi_scale":
        return MultiScaleBoxBias(*(build_axial_bias(c, model.heads // 2) for _ in range(2)))
    return build_axial_bias(c, model.heads)


def build_axial_bias(c: config.Refining, heads: int) -> BoxBias:
    match c.box_bias:
        case "linear":
            return AxialBoxBias(heads, c.bias_hidden, LinearDistance())
        case "log":
            return AxialBoxBias(heads, c.bias_hidden, LogDistance())
    return NoBoxBias()


def build_box_offsets(c: config.Detr | config.Conditional | config.Refining) -> BoxOffsets:
    return RelativeOffsets() if isinstance(c, config.Refining) and c.boxes == "relative" else LogitOffsets()


def build_spatial_query(form: config.SpatialQuery, dim: int, heads: int) -> SpatialQuery:
    match form:
        case "diagonal":
            return Diagonal(dim)
        case "identity" | "reference_only":
            return Identity()
        case "scalar":
            return Scalar(dim)
        case "block":
            return BlockDiagonal(dim, blocks=heads)
        case "full":
            return BlockDiagonal(dim, blocks=1)
        case "transform_only":
            return TransformOnly(dim)
        case "content_only":
            return ContentOnly()
        case "from_content":
            return FromContent(dim)


def build_scoring(c: config.Scoring) -> Scoring:
    match c:
        case config.Softmax():
            return SoftmaxScoring(c.background_weight)
        case config.Focal():
            return FocalScoring(c.alpha, c.gamma)
        case config.IouAware():
            return IouAwareScoring(c.ramp)
        case config.Matchability():
            return MatchabilityScoring(c.ramp)


def build_loss(c: config.Config) -> tuple[SetLoss, LossWeights]:
    """The set loss, and the weights with which its terms are added."""
    scoring = build_scoring(c.model.scoring)
    matcher = Matcher(scoring, c.loss.classes, c.loss.l1, c.loss.giou)
    match c.model.scoring, c.train.supervision:
        case ((config.IouAware(class_weight=classes) | config.Matchability(class_weight=classes)), _):
            pass
        case _, "one_to_many":
            classes = c.loss.classes / CLASS_WEIGHT  # the second head's class loss then weighs `loss.classes`
        case _:
            classes = c.loss.classes
    return SetLoss(scoring, matcher), LossWeights(classes, c.loss.l1, c.loss.giou)


def build_optimizer(learner: nn.Module, c: config.Train) -> torch.optim.AdamW:
    return adamw(learner, c.lr, c.backbone_lr, c.weight_decay)


def build_decay(c: config.Train, steps: int) -> Decay:
    """The decay of the moving average in a run of `steps` steps."""
    return Decay(limited(c.ema, c.ema_window, steps), c.ema_ramp)


def build_schedule(c: config.Train, steps_per_epoch: int) -> Schedule:
    steps = c.epochs * steps_per_epoch
    warmup = c.warmup_steps or warmup_steps(c.warmup, steps)
    match c.schedule:
        case "flat_cosine":
            return FlatCosine(c.lr, warmup, steps)
        case "step":
            return Steps(c.lr, warmup, drop_epoch(c.epochs, c.drop_at), c.epochs)


def build_prepare(c: config.Data) -> Prepare:
    return Prepare.of(c.size, c.longest)


def build_augmentation(c: config.Data) -> Augmentation:
    """Sizes are fractions of `size`, rounded: at 800 the papers' own."""

    def pixels(fraction: float) -> int:
        return max(1, round(fraction * c.size))

    augment = Augment(
        pixels(c.longest), tuple(map(pixels, c.scales)), tuple(map(pixels, c.crop_scales)), pixels(c.crop_smallest),
        pixels(c.crop_largest), c.flip_chance, c.crop_chance,
    )  # fmt: skip
    return Augmentation(augment, c.mosaic_chance, c.mosaic_smallest, c.zoom_out_chance, c.close_at, c.color)

"""The norms that follow the convolutions of a ResNet: frozen batch norm, and a norm over the channels of each cell."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..cpu.convolution import scaled_convolution
from ..shapes import Float
from .backbone import Features

EPSILON = 1e-5  # added to the variance by the published batch norms


class Norm(nn.Module, ABC):
    @abstractmethod
    def after(self, conv: nn.Conv2d, x: Features) -> Features:
        """The norm of conv(x)."""


class FrozenBatchNorm(Norm):
    """Batch norm with the statistics and the affine map of pretraining, as buffers: one scale and shift per channel."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def folded(self, conv: nn.Conv2d) -> tuple[Float[Tensor, "o i k k"], Float[Tensor, " o"]]:
        """Weight and bias of the convolution that computes the same as `conv` followed by this norm."""
        scale, shift = self.affine()
        return conv.weight if bool((scale == 1).all()) else conv.weight * scale[:, None, None, None], shift

    @torch.no_grad()
    def fold_into(self, conv: nn.Conv2d) -> None:
        """Multiply the weight of `conv` by the scale, in place and channels last; the norm keeps only the shift."""
        weight, shift = self.folded(conv)
        conv.weight.data = weight.detach().contiguous(memory_format=torch.channels_last)
        self.weight.fill_(1.0)
        self.bias.copy_(shift)
        self.running_mean.zero_()
        self.running_var.fill_(1 - EPSILON)  # the scale is then exactly 1

    def affine(self) -> tuple[Float[Tensor, " o"], Float[Tensor, " o"]]:
        """Scale and shift: the norm of x is scale · x + shift."""
        scale = self.weight * (self.running_var + EPSILON).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def after(self, conv: nn.Conv2d, x: Features) -> Features:
        """The norm of conv(x), computed by the convolution: one pass over the pixels instead of two."""
        return scaled_convolution(conv, *self.affine(), x)


class ChannelNorm(Norm):
    """Layer norm over the channels of each cell: trains from scratch, and depends on neither batch nor padding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def after(self, conv: nn.Conv2d, x: Features) -> Features:
        x = conv(x).permute(0, 2, 3, 1)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias).permute(0, 3, 1, 2)

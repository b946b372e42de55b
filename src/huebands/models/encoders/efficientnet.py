"""EfficientNet-Lite (Tan & Le, 2019, https://arxiv.org/abs/1905.11946): no squeeze-and-excitation, ReLU6.

Layers have the names of those in `efficientnet_lite_pytorch`, so that its ImageNet weights can be loaded.
"""

from math import ceil

import torch.nn.functional as F
from torch import Tensor, nn

# Of Lite0: repeats, kernel size, stride of the first repeat, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_LAST_OF_STRIDE = (0, 1, 2, 4, 6)  # the last stage at each of the strides 2 to 32


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME does: at stride 2 more at the bottom and on the right."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        pads = []
        for side in reversed(x_BCHW.shape[2:]):
            stride, kernel = self.stride[0], self.kernel_size[0]
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x_BCHW, pads) if any(pads) else x_BCHW)


class MBConv(nn.Module):
    """Inverted bottleneck: widen, convolve each channel by itself, narrow; added to its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        channels = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self._expand_conv = SameConv2d(inputs, channels, 1, bias=False) if expansion > 1 else nn.Identity()
        self._bn0 = _batch_norm(channels) if expansion > 1 else nn.Identity()
        self._depthwise_conv = SameConv2d(channels, channels, kernel, stride, groups=channels, bias=False)
        self._bn1 = _batch_norm(channels)
        self._project_conv = SameConv2d(channels, outputs, 1, bias=False)
        self._bn2 = _batch_norm(outputs)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        x = x_BCHW
        if not isinstance(self._expand_conv, nn.Identity):
            x = F.relu6(self._bn0(self._expand_conv(x)))
        x = F.relu6(self._bn1(self._depthwise_conv(x)))
        output: Tensor = self._bn2(self._project_conv(x))
        return x_BCHW + output if self.residual else output


class EfficientNetLite(nn.Module):
    """Feature maps of a photo at the strides 2, 4, 8, 16 and 32.

    Args:
        width: Lite0's channels are multiplied by it, and rounded to multiples of 8; the stem keeps its 32.
        depth: Lite0's repeats are multiplied by it, and rounded up; the first and the last stage keep one.
    """

    def __init__(self, width: float, depth: float) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = _batch_norm(32)
        blocks: list[nn.Module] = []
        inputs, last_blocks, channels = 32, [], []
        for stage, (repeats, kernel, stride, expansion, unscaled) in enumerate(_STAGES):
            outputs = _round_channels(unscaled * width)
            for repeat in range(repeats if stage in (0, len(_STAGES) - 1) else ceil(repeats * depth)):
                blocks.append(MBConv(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion))
                inputs = outputs
            if stage in _LAST_OF_STRIDE:
                last_blocks.append(len(blocks) - 1)
                channels.append(outputs)
        self._blocks = nn.ModuleList(blocks)
        self._last_blocks, self.channels = tuple(last_blocks), tuple(channels)

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Map a photo (B, 3, H, W), normalised as ImageNet's, to five maps, the finest first."""
        x, features = F.relu6(self._bn0(self._conv_stem(x_B3HW))), []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self._last_blocks:
                features.append(x)
        return features


class EfficientNetLite0(EfficientNetLite):
    """3.4 million weights without the classifier's layers."""

    def __init__(self) -> None:
        super().__init__(width=1.0, depth=1.0)


class EfficientNetLite1(EfficientNetLite):
    """Lite0's channels in 21 blocks for its 16."""

    def __init__(self) -> None:
        super().__init__(width=1.0, depth=1.1)


class EfficientNetLite2(EfficientNetLite):
    """Lite1's blocks, a tenth wider."""

    def __init__(self) -> None:
        super().__init__(width=1.1, depth=1.2)


def _round_channels(channels: float) -> int:
    """The nearest multiple of 8, of those that lose less than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)

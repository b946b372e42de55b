"""Inception v3 (Szegedy et al., 2016, https://arxiv.org/abs/1512.00567), as Google published it in December 2015.

It is the network through which FID and KID look. Layers have the names of those in StyleGAN3's TorchScript, so that its
weights can be loaded. The original does not pad its first convolutions and those of stride 2, so its maps do not halve.
Here they are padded by a pixel, by reflection: zeros would be edges that those layers have never seen. At 288 pixels
the pooled features of photos then lie 0.45 of their length from the original's at 299, with zeros 0.61, and those of
the original at 288 itself 0.54.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = int | tuple[int, int]


class ConvLayer(nn.Module):
    """A convolution, a batch normalisation and a ReLU.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: height and width, odd.
        stride: 1 or 2.
        border: pixels by which the map is reflected at its borders; with none, zeros keep its size.
    """

    def __init__(self, inputs: int, outputs: int, kernel: Size = 1, stride: int = 1, border: int = 0) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        zeros = (0, 0) if border else (height // 2, width // 2)
        self.border = border
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, zeros, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        padded = F.pad(x_BCHW, [self.border] * 4, mode="reflect") if self.border else x_BCHW
        return F.relu(self.bn(self.conv(padded)))


class InceptionA(nn.Module):
    """Stride 8: 1 x 1, 5 x 5, twice 3 x 3, and a mean."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.conv = ConvLayer(inputs, 64)
        self.tower = _chain(conv=ConvLayer(inputs, 48), conv_1=ConvLayer(48, 64, 5))
        self.tower_1 = _chain(conv=ConvLayer(inputs, 64), conv_1=ConvLayer(64, 96, 3), conv_2=ConvLayer(96, 96, 3))
        self.tower_2 = _chain(pool=_mean(), conv=ConvLayer(inputs, pooled))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 224 + pooled, H, W)."""
        return torch.cat([part(x_BCHW) for part in (self.conv, self.tower, self.tower_1, self.tower_2)], dim=1)


class InceptionB(nn.Module):
    """From stride 8 to 16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvLayer(288, 384, 3, stride=2, border=1)
        last = ConvLayer(96, 96, 3, stride=2, border=1)
        self.tower = _chain(conv=ConvLayer(288, 64), conv_1=ConvLayer(64, 96, 3), conv_2=last)
        self.pool = nn.MaxPool2d(3, 2, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, 288, H, W) to (B, 768, H / 2, W / 2)."""
        return torch.cat([part(x_BCHW) for part in (self.conv, self.tower, self.pool)], dim=1)


class InceptionC(nn.Module):
    """Stride 16: 7 x 7 as 1 x 7 and 7 x 1, once and twice."""

    def __init__(self, narrow: int) -> None:
        super().__init__()
        row, column = (1, 7), (7, 1)
        self.conv = ConvLayer(768, 192)
        self.tower = _chain(
            conv=ConvLayer(768, narrow), conv_1=ConvLayer(narrow, narrow, row), conv_2=ConvLayer(narrow, 192, column)
        )
        self.tower_1 = _chain(
            conv=ConvLayer(768, narrow),
            conv_1=ConvLayer(narrow, narrow, column),
            conv_2=ConvLayer(narrow, narrow, row),
            conv_3=ConvLayer(narrow, narrow, column),
            conv_4=ConvLayer(narrow, 192, row),
        )
        self.tower_2 = _chain(pool=_mean(), conv=ConvLayer(768, 192))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, 768, H, W) to (B, 768, H, W)."""
        return torch.cat([part(x_BCHW) for part in (self.conv, self.tower, self.tower_1, self.tower_2)], dim=1)


class InceptionD(nn.Module):
    """From stride 16 to 32."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = _chain(conv=ConvLayer(768, 192), conv_1=ConvLayer(192, 320, 3, stride=2, border=1))
        self.tower_1 = _chain(
            conv=ConvLayer(768, 192),
            conv_1=ConvLayer(192, 192, (1, 7)),
            conv_2=ConvLayer(192, 192, (7, 1)),
            conv_3=ConvLayer(192, 192, 3, stride=2, border=1),
        )
        self.pool = nn.MaxPool2d(3, 2, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, 768, H, W) to (B, 1280, H / 2, W / 2)."""
        return torch.cat([part(x_BCHW) for part in (self.tower, self.tower_1, self.pool)], dim=1)


class InceptionE(nn.Module):
    """Stride 32: towers that end in 1 x 3 and 3 x 1 side by side."""

    def __init__(self, inputs: int, pool: nn.Module) -> None:
        super().__init__()
        self.conv = ConvLayer(inputs, 320)
        self.tower_conv = ConvLayer(inputs, 384)
        self.tower_mixed_conv, self.tower_mixed_conv_1 = ConvLayer(384, 384, (1, 3)), ConvLayer(384, 384, (3, 1))
        self.tower_1_conv, self.tower_1_conv_1 = ConvLayer(inputs, 448), ConvLayer(448, 384, 3)
        self.tower_1_mixed_conv, self.tower_1_mixed_conv_1 = ConvLayer(384, 384, (1, 3)), ConvLayer(384, 384, (3, 1))
        self.tower_2_pool, self.tower_2_conv = pool, ConvLayer(inputs, 192)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 2048, H, W)."""
        tower, tower_1 = self.tower_conv(x_BCHW), self.tower_1_conv_1(self.tower_1_conv(x_BCHW))
        parts = (
            self.conv(x_BCHW),
            self.tower_mixed_conv(tower),
            self.tower_mixed_conv_1(tower),
            self.tower_1_mixed_conv(tower_1),
            self.tower_1_mixed_conv_1(tower_1),
            self.tower_2_conv(self.tower_2_pool(x_BCHW)),
        )
        return torch.cat(parts, dim=1)


class InceptionV3(nn.Module):
    """Feature maps of a photo at the strides 2, 4, 8, 16 and 32."""

    channels = (64, 192, 288, 768, 2048)
    _LAST_OF_STRIDE = ("conv_2", "conv_4", "mixed_2", "mixed_7", "mixed_10")

    def __init__(self) -> None:
        super().__init__()
        self.layers = _chain(
            conv=ConvLayer(3, 32, 3, stride=2, border=1),
            conv_1=ConvLayer(32, 32, 3, border=1),
            conv_2=ConvLayer(32, 64, 3),
            pool0=nn.MaxPool2d(3, 2, padding=1),
            conv_3=ConvLayer(64, 80),
            conv_4=ConvLayer(80, 192, 3, border=1),
            pool1=nn.MaxPool2d(3, 2, padding=1),
            mixed=InceptionA(192, 32),
            mixed_1=InceptionA(256, 64),
            mixed_2=InceptionA(288, 64),
            mixed_3=InceptionB(),
            mixed_4=InceptionC(128),
            mixed_5=InceptionC(160),
            mixed_6=InceptionC(160),
            mixed_7=InceptionC(192),
            mixed_8=InceptionD(),
            mixed_9=InceptionE(1280, _mean()),
            mixed_10=InceptionE(2048, nn.MaxPool2d(3, 1, padding=1)),
        )

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Map a photo (B, 3, H, W), from -1 for black to 127/128 for white, to five maps, the finest first."""
        x, features = x_B3HW, []
        for name, layer in self.layers.named_children():
            x = layer(x)
            if name in self._LAST_OF_STRIDE:
                features.append(x)
        return features


def _mean() -> nn.AvgPool2d:
    return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)


def _chain(**layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, under these names."""
    chain = nn.Sequential()
    for name, layer in layers.items():
        chain.add_module(name, layer)
    return chain

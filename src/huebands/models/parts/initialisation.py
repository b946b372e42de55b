"""How weights are drawn."""

from torch import nn


def initialise(network: nn.Module) -> None:
    """Draw convolution weights from N(0, 0.02) and normalisation scales from N(1, 0.02), as pix2pix does."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)

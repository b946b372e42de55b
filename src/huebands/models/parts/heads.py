"""The two heads of a decoder: a colour for each place, and the probabilities of the bins of the ab plane."""

from torch import nn

from huebands.models.parts.ab_bins import BINS


def build_heads(inputs: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Build the head of colours and that of the bins, on a map with so many channels."""
    colour = nn.Sequential(nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), nn.Conv2d(inputs, 2, 1))
    bins = nn.Sequential(nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), nn.Conv2d(inputs, BINS, 1))
    return colour, bins


def initialise_heads(colour: nn.Sequential, bins: nn.Sequential, *others: nn.Module) -> None:
    """Draw weights of other modules and of both heads (He et al., 2015).

    Before the training the first head gives grey, and the second makes all bins nearly equally likely.
    """
    for module in (module for part in (*others, colour, bins) for module in part.modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for head in (colour, bins):
        nn.init.normal_(head[-1].get_parameter("weight"), 0.0, 0.01)

"""Dropout as the noise z of pix2pix: other noise, another colouring (Isola et al., 2017, section 3.2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

_random: ContextVar[torch.Generator | None] = ContextVar("random", default=None)


class Dropout(nn.Dropout):
    """Dropout that drops in evaluation too, where `drawing` says so."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of any shape, and enlarge the others."""
        random = _random.get()
        if random is None or self.p == 0:
            return super().forward(x)
        kept = torch.rand(x.shape, generator=random, device=random.device).to(x.device) >= self.p
        return x * kept / (1 - self.p)


@contextmanager
def drawing(random: torch.Generator) -> Iterator[None]:
    """Within the block, and in this thread, let networks in evaluation drop what this generator says."""
    token = _random.set(random)
    try:
        yield
    finally:
        _random.reset(token)

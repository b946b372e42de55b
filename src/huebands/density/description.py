"""distribution.json as checked dataclasses."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from huebands.models.encoders.encoder import STRIDES, EncoderName
from huebands.models.parameters import build, check
from huebands.models.views import check_views

FORMAT, CHANNELS_FORMAT = 2, 1  # joint histograms; before, one histogram a channel
_LARGEST_SIDE = 4096  # pixels of the network's square


@dataclass(frozen=True, kw_only=True)
class NetworkDescription:
    """What `DensityNetwork` takes."""

    encoder: EncoderName
    filters: int
    dropout: float
    bins: int  # of each histogram, or of each side of a joint one

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 1024, "filters", self.filters, "be an integer in [1, 1024]")
        check(0 <= self.dropout < 1, "dropout", self.dropout, "be in [0, 1)")
        check(2 <= self.bins <= 1024, "bins", self.bins, "be an integer in [2, 1024]")


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What a colour distribution was made from."""

    git_commit: str
    data_sha256: str  # of the prepared dataset
    params: dict[str, Any]  # of the fit


@dataclass(frozen=True, kw_only=True)
class Description:
    """The content of distribution.json."""

    format: int
    network: NetworkDescription
    image_size: int  # side of the network's square, pixels
    lineage: Lineage
    averaged_views: int = 1  # of a photo, whose probabilities are averaged

    def __post_init__(self) -> None:
        multiple, size = STRIDES[self.network.encoder], self.image_size
        check(multiple <= size <= _LARGEST_SIDE, "image_size", size, f"be an integer in [{multiple}, {_LARGEST_SIDE}]")
        check(size % multiple == 0, "image_size", size, f"be a multiple of {multiple} for this encoder")
        check_views("averaged_views", self.averaged_views, size)


def parse_description(content: bytes) -> Description:
    """Parse the bytes of distribution.json.

    Raises:
        ParamsError: names the key, its value and what is allowed.
        ValueError, RecursionError: when the content is not JSON.
    """
    values = json.loads(content)
    check(isinstance(values, Mapping), "the content", values, "be a mapping")
    number = values.get("format")
    check(number in (CHANNELS_FORMAT, FORMAT), "format", number, f"be {CHANNELS_FORMAT} or {FORMAT}")
    description: Description = build(Description, values)
    return description


def encode_description(values: Mapping[str, Any]) -> str:
    """Write distribution.json; equal values give equal texts.

    Args:
        values: plain ones of a `Description`, without the format.

    Raises:
        ParamsError: like `parse_description`.
    """
    description = build(Description, {"format": FORMAT, **values})
    return json.dumps(asdict(description), indent=2, sort_keys=True) + "\n"

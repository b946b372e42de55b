"""The photos of a prepared split that are evidence of their own: one of each group of near-duplicates.

The errors of photos of one scene depend on each other, so their intervals would be too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from huebands.data.near_duplicates import lead_rows
from huebands.data.shards import LabShard, read_split


@dataclass(frozen=True)
class SplitPhotos:
    """Photos of a prepared split, decoded when they are asked for.

    Attributes:
        shard: the split.
        rows: of the shard, in the order in which they are judged.
    """

    shard: LabShard
    rows: Sequence[int]

    @classmethod
    def read(cls, prepared: Path, split: str) -> Self:
        """Take one photo of each group of near-duplicates.

        Raises:
            ShardError: when there is no such split, or it is empty.
        """
        rows = lead_rows(read_split(prepared, split))["row"].tolist()
        return cls(LabShard(prepared, split), rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> NDArray[np.uint8]:
        rgb_SS3: NDArray[np.uint8] = self.shard.rgb([self.rows[place]])[0].permute(1, 2, 0).numpy()
        return rgb_SS3

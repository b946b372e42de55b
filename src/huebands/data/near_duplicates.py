"""Which photos stand for their groups of near-duplicates."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame


def lead_rows(photos: "DataFrame") -> "DataFrame":
    """Leave out near-duplicates, whose errors depend on each other.

    Args:
        photos: rows of a manifest, of one split, with the columns id, group and row.

    Returns:
        Of each group the photo that led it when it was remembered, or the first one where that photo is gone, in order
        of their rows.
    """
    follows = photos["id"] != photos["group"]
    ordered = photos.assign(follows=follows).sort_values(["follows", "row"], kind="stable")
    return ordered.drop_duplicates("group").drop(columns="follows").sort_values("row")

"""What the prepared dataset promises, as plain statements in the words of Great Expectations.

Each is (type, keywords, note); they are data, so that only `validation` needs the library.
"""

from collections.abc import Iterable
from typing import Any

from huebands.data.params import SPLITS, ValidateParams
from huebands.data.shards import MANIFEST_COLUMNS

Statement = tuple[str, dict[str, Any], str]

SCHEMA_TYPES = {
    **dict.fromkeys(MANIFEST_COLUMNS, "str"),
    **dict.fromkeys(("row", "width", "height"), "int64"),
    **dict.fromkeys(("L_mean", "L_std", "chroma_mean", "chroma_p95", "tone_spread"), "float64"),
}
# CIELAB of sRGB: L in [0, 100], so its deviation is at most 50; no colour's chroma exceeds blue's 133.81.
RANGES: dict[str, tuple[float, float | None]] = {
    "row": (0, None),
    "width": (1, None),
    "height": (1, None),
    "L_mean": (0, 100),
    "L_std": (0, 50),
    "chroma_mean": (0, 134),
    "chroma_p95": (0, 134),
    "tone_spread": (0, None),
}
PATTERNS = {
    "id": ("^[0-9a-f]{16}$", "id is 16 hex digits"),
    "sha256": ("^[0-9a-f]{64}$", "sha256 is 64 hex digits"),
    "phash": ("^[0-9a-f]{16}$", "phash is 16 hex digits"),
    "group": ("^[0-9a-f]{16}$", "group is the id of its leader, 16 hex digits"),
    "source": (r"\S", "every photo says where it is from"),
    "licence": (r"\S", "every photo says under which licence it may be used"),
}


def schema_statements(present: Iterable[str]) -> list[Statement]:
    """State the manifest's columns, and the types of those present; the rest needs these."""
    columns = list(MANIFEST_COLUMNS)
    return [
        ("ExpectTableColumnsToMatchOrderedList", {"column_list": columns}, "the manifest's columns"),
        *(
            ("ExpectColumnValuesToBeOfType", {"column": column, "type_": kind}, f"{column} is {kind}")
            for column, kind in SCHEMA_TYPES.items()
            if column in set(present)
        ),
    ]


def manifest_statements(params: ValidateParams) -> list[Statement]:
    """State what each photo's row and the photos together must be like."""
    statements: list[Statement] = [
        ("ExpectColumnValuesToBeUnique", {"column": "id"}, "no photo is listed twice"),
        ("ExpectColumnValuesToBeUnique", {"column": "sha256"}, "no two photos have the same bytes"),
        (
            "ExpectColumnValuesToBeInSet",
            {"column": "split", "value_set": list(SPLITS)},
            f"the splits are {', '.join(SPLITS)}",
        ),
        (
            "ExpectCompoundColumnsToBeUnique",
            {"column_list": ["split", "row"]},
            "each photo has a row of its own in its split's shard",
        ),
    ]
    for column, (pattern, note) in PATTERNS.items():
        statements.append(("ExpectColumnValuesToNotBeNull", {"column": column}, note))
        statements.append(("ExpectColumnValuesToMatchRegex", {"column": column, "regex": pattern}, note))
    for column, (low, high) in RANGES.items():
        note = f"{column} lies in [{low}, {'...' if high is None else high}]"
        statements.append(("ExpectColumnValuesToNotBeNull", {"column": column}, note))
        between = {"column": column, "min_value": low, "max_value": high}
        statements.append(("ExpectColumnValuesToBeBetween", between, note))
    for split in SPLITS:
        least = params.min_photos[split]
        keywords = {"min_value": least, "row_condition": ("split", split)}
        statements.append(
            (
                "ExpectTableRowCountToBeBetween",
                keywords,
                f"{split} holds at least {least} photos (validate.min_photos.{split})",
            )
        )
    means = (("L_mean", "lightness_mean", params.lightness_mean), ("chroma_mean", "chroma_mean", params.chroma_mean))
    for column, parameter, (low, high) in means:
        keywords = {"column": column, "min_value": low, "max_value": high}
        note = f"the mean {column} over all photos lies in [{low:g}, {high:g}] (validate.{parameter})"
        statements.append(("ExpectColumnMeanToBeBetween", keywords, note))
    return statements


def photo_statements() -> list[Statement]:
    """State how each photo fits the others and its shard; `description` derives the columns."""
    return [
        (
            "ExpectColumnValuesToBeInSet",
            {"column": "splits_of_group", "value_set": [1]},
            "no group sits in two splits",
        ),
        ("ExpectColumnValuesToNotBeNull", {"column": "shard_L_mean"}, "the shard holds every photo's row"),
        (
            "ExpectColumnValuesToBeBetween",
            {"column": "shard_difference", "min_value": 0, "max_value": 0.0001},
            "the shard's row is the manifest's photo: their mean lightness agrees",
        ),
    ]


def shard_statements() -> list[Statement]:
    """State what each split's shard must be like; one row a split."""
    return [
        (
            "ExpectColumnPairValuesToBeEqual",
            {"column_A": "rows", "column_B": "photos"},
            "a shard holds as many rows as its split has photos",
        ),
        (
            "ExpectColumnPairValuesToBeEqual",
            {"column_A": "side", "column_B": "train_side"},
            "all shards have squares of one size",
        ),
        (
            "ExpectColumnValuesToBeBetween",
            {"column": "lightness_min", "min_value": 0, "max_value": 100},
            "L is not negative",
        ),
        (
            "ExpectColumnValuesToBeBetween",
            {"column": "lightness_max", "min_value": 0, "max_value": 100},
            "L is at most 100",
        ),
        (
            "ExpectColumnValuesToBeBetween",
            {"column": "ab_largest", "min_value": 0, "max_value": 108},
            "a and b are colours of sRGB",
        ),
    ]

"""The model card: what a package is, what it was made of, what it reaches and what it does not promise."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from huebands.metrics.report import METRICS, in_words
from huebands.models.interface import ObjectiveParams
from huebands.models.parameters import build
from huebands.models.registry import network_class, objective_class
from huebands.params import ModelParams

_MODES = {"per_channel": "each channel's values", "joint": "pixels, all channels at once"}
_TEXT = """\
# Huebands: {name}

Colorizes greyscale photos and gives, for every pixel and every RGB channel, a range for the true value.
Lightness is kept; photos of any size go in and come out at their own size.

## What it is

{generator} It works at {size}x{size} pixels; its colours are brought up to the photo's size. The bands come
from split conformal calibration over photos.

{training}

- data: {lineage[data]}, sha256 `{lineage[data_sha256]}`
- code: commit `{lineage[git_commit]}`
- weights: sha256 `{calibration[weights_sha256]}`
- colour distribution: sha256 `{calibration[distribution_sha256]}`
- preprocessing: sha256 `{calibration[preprocessing_sha256]}`

## Photos it was made of

{photos}

## How near it comes, on {test_photos} test photos

{figures}

## What the bands promise

For a new photo exchangeable with the calibration photos, the expected share of its pixels whose true value
leaves the band is at most alpha: a share of the channels' values by default, of pixels that leave by any
channel in the joint mode. {calibration[photos]} photos calibrated it, so alpha starts at
1/{smallest_alpha_inverse}. This calibration, on the test photos, with the interval for new photos:

{certificate}

Widths are in 8-bit levels. {strata}

## What it does not promise

- The promise is an average over photos, and over the calibration photos that chance might have given: on one
  photo more than alpha may leave the band, and one calibration may cover somewhat less than promised.
- It says nothing of a single pixel.
- It holds for photos like those above. Other subjects, cameras, eras or ways of making grey are not covered,
  nor are photos whose true colours are near grey: these were set aside.
- A colour inside its band is plausible, not true: do not read identities, materials or evidence off it.
- Skin, clothes and artworks are coloured as the training photos suggest, with their biases.

## Use

    huebands colorize PHOTO --model FOLDER

where FOLDER holds this card.
"""


def write_card(
    config: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    calibration: Mapping[str, Any],
    photos: Sequence[Mapping[str, Any]],
) -> str:
    """Write the card as Markdown; equal arguments give equal text.

    Args:
        config: of the package.
        evaluation: figures on the test split: {metric: {"model", "low", "high", "grey", ...: value}, "photos": n}.
        calibration: the content of calibration.json.
        photos: rows of the manifest, with split, source and licence.
    """
    preprocessing, lineage = config["preprocessing"], config["lineage"]
    model: ModelParams = build(ModelParams, lineage["params"]["model"])
    return _TEXT.format(
        name=config["name"],
        size=preprocessing["image_size"],
        generator=network_class(model.network.name).describe(model.network),
        training=_training(lineage, model.objective),
        lineage=lineage,
        calibration=calibration,
        smallest_alpha_inverse=calibration["photos"] + 1,
        photos=_photos(photos),
        test_photos=evaluation["photos"],
        figures=_figures(evaluation),
        certificate=_certificate(calibration["certificate"]),
        strata=_strata(calibration["certificate"]),
    )


def _training(lineage: Mapping[str, Any], objective: ObjectiveParams) -> str:
    train = lineage["params"]["train"]
    precision = f", computed in {lineage['precision']}" if "precision" in lineage else ""
    sentences = [
        f"Training took {train['epochs']} epochs{precision}.",
        objective_class(objective.name).describe(objective),
    ]
    if train["ema_decay"]:
        sentences.append(f"The weights are an exponential moving average (decay {train['ema_decay']:g} a step).")
    return "\n".join(sentences)


def _photos(photos: Sequence[Mapping[str, Any]]) -> str:
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for photo in photos:
        row = counts.setdefault((str(photo["source"]), str(photo["licence"])), {})
        row[photo["split"]] = row.get(photo["split"], 0) + 1
    splits = ("train", "val", "calibration", "test")
    rows = [(*key, *(row.get(split, 0) for split in splits)) for key, row in sorted(counts.items())]
    return _table(("source", "licence", *splits), rows)


def _figures(evaluation: Mapping[str, Any]) -> str:
    rows = []
    for metric in METRICS:
        if metric.key in evaluation:
            values = {name: in_words(value) for name, value in evaluation[metric.key].items()}
            interval = f"{values['low']} to {values['high']}"
            rows.append((metric.title, values["model"], interval, values["grey"], values.get("truth", "")))
    table = _table(("", "model", "95% interval over photos", "left grey", "truth"), rows)
    return f"{table}{_bias(evaluation)}"


def _bias(evaluation: Mapping[str, Any]) -> str:
    if "fid" not in evaluation:
        return ""
    return (
        f"\n\nFID of few photos is too large: compare it with FID of {evaluation['photos']} photos only."
        f" KID has no such bias; its standard error is {in_words(evaluation['kid']['standard_error'])}."
    )


def _certificate(certificate: Mapping[str, Any]) -> str:
    named = [(_MODES[row["mode"]], row) for row in certificate["curve"]]
    named += [(f"{_MODES[row['mode']]}, in each group", row) for row in certificate["grouped"]]
    rows = [
        (
            counted,
            f"{row['alpha']:g}",
            f"{1 - row['alpha']:.1%}",
            f"{row['coverage']:.1%}",
            f"{row['coverage_low']:.1%} to {row['coverage_high']:.1%}",
            f"{row['width']:.1f}",
            *(f"{width:.1f}" for width in row["widths"]),
        )
        for counted, row in named
    ]
    return _table(("counted", "alpha", "promised", "covered", "95% interval", "mean width", "R", "G", "B"), rows)


def _strata(certificate: Mapping[str, Any]) -> str:
    """The least covered cell in words."""
    cells = [row for row in certificate["strata"] if row["mode"] == "per_channel" and row["share"] >= 0.01]
    worst = min(cells, key=lambda row: float(row["coverage"]))
    return (
        f"Of the groups of pixels with at least 1% of them, the least covered at alpha {certificate['alpha']:g} is"
        f" {worst['group']}: {worst['coverage']:.1%} ({worst['low']:.1%} to {worst['high']:.1%}), and"
        f" {worst['grouped_coverage']:.1%} where each group keeps the promise. All of them: certificate.html."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)

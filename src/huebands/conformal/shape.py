"""The shape of the nested bands: what they depend on beside the networks, chosen before calibration."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from huebands.conformal.bands import STEPS
from huebands.conformal.groups import GROUPS, UNMERGED, Grouping, choose_grouping, presence_of
from huebands.conformal.photo_bands import PhotoBands
from huebands.conformal.scores import joint_first_steps
from huebands.models.parameters import check
from huebands.statistics.risk_control import first_step

_JOINT_OFFSETS = ((0, 0, 0), (0, 6, 0), (0, 12, 0), (0, 24, 0), (0, 48, 0))  # that are compared
_COMPARED_PHOTOS = 16


@dataclass(frozen=True)
class Shape:
    """The shape of the nested bands.

    Attributes:
        adaptivity: in [0, 1]; see `density.intervals`.
        joint_offsets: steps by which R, G and B are ahead of the joint family's step; the least is 0.
        grouping: groups of pixels.

    Raises:
        ParamsError: names the attribute, its value and what is allowed.
    """

    adaptivity: float
    joint_offsets: tuple[int, int, int]
    grouping: Grouping

    def __post_init__(self) -> None:
        offsets, merged = self.joint_offsets, self.grouping.merged_into
        is_number = type(self.adaptivity) in (int, float) and 0 <= self.adaptivity <= 1
        check(is_number, "adaptivity", self.adaptivity, "lie in [0, 1]")
        are_steps = len(offsets) == 3 and all(type(offset) is int and 0 <= offset < STEPS for offset in offsets)
        must = f"be 3 integers in 0..{STEPS - 1}, the least 0"
        check(are_steps and min(offsets) == 0, "joint_offsets", offsets, must)
        are_groups = len(merged) == len(GROUPS) and all(
            type(group) is int and 0 <= group < len(GROUPS) for group in merged
        )
        check(are_groups, "merged_into", merged, f"be {len(GROUPS)} integers in 0..{len(GROUPS) - 1}")
        are_unmerged = all(merged[group] == group for group in merged)
        check(are_unmerged, "merged_into", merged, "name groups that are not merged themselves")
        edges = self.grouping.photo_edges
        are_rising = len(edges) == 2 and all(type(edge) is float for edge in edges) and edges[0] <= edges[1]
        check(are_rising, "photo_edges", edges, "be 2 rising numbers")


def unmerged_shape(adaptivity: float) -> Shape:
    """The shape to start from: no offsets, no group merged."""
    return Shape(adaptivity, (0, 0, 0), Grouping(UNMERGED, (0.0, 0.0)))


def choose_shape(
    photos: Iterable[tuple[PhotoBands, np.ndarray]], adaptivity: float, alpha: float, calibration_photos: int
) -> Shape:
    """Choose groups and joint offsets on the validation photos, before calibration.

    Args:
        photos: bands of `unmerged_shape(adaptivity)`, and the true colours, uint8 (H, W, 3).
        adaptivity: adaptivity of the bands.
        alpha: at which the joint bands are to be narrow.
        calibration_photos: how many there will be.
    """
    presence, entropies, first_steps, compared = [], [], [], list[PhotoBands]()
    for bands, true_HW3 in photos:
        presence.append(presence_of(bands.groups))
        entropies.append(bands.entropy)
        if len(compared) < _COMPARED_PHOTOS:
            first_steps.append(bands.nested.first_steps(true_HW3))
            compared.append(bands)
    grouping = choose_grouping(np.stack(presence), entropies, calibration_photos)
    widths = {offsets: _joint_width(compared, first_steps, offsets, alpha) for offsets in _JOINT_OFFSETS}
    return Shape(adaptivity, min(widths, key=lambda offsets: widths[offsets]), grouping)


def _joint_width(
    photos: list[PhotoBands], first_steps: list[np.ndarray], offsets: tuple[int, int, int], alpha: float
) -> float:
    """Mean width of the photos' joint bands at alpha, calibrated on the same photos, 8-bit levels."""
    scores = [joint_first_steps(steps_HW3, offsets).ravel() for steps_HW3 in first_steps]
    losses = np.stack([1 - np.bincount(photo, minlength=STEPS).cumsum() / photo.size for photo in scores])
    steps = np.minimum(first_step(losses, alpha) + np.array(offsets), STEPS - 1)
    bands = [photo.at(steps, "joint").astype(np.int16) for photo in photos]
    return float(np.mean([(bands_HW32[..., 1] - bands_HW32[..., 0]).mean() for bands_HW32 in bands]))

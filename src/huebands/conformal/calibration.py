"""The calibration: one stored table of losses that gives the bands' steps for any alpha.

Conformal risk control over photos (Angelopoulos et al. 2024, arXiv:2208.02814): with n exchangeable photos whose mean
loss at a step is R, the first step with n/(n+1) R + 1/(n+1) <= alpha has an expected loss of at most alpha on the next
photo. With one pixel a photo this is split conformal prediction's quantile.

Two more promises rest on the same table. With delta, the expected loss of these very bands on new photos is at most
alpha with probability 1 - delta over the draw of the calibration photos (risk-controlling prediction sets). By group,
the same is promised for the pixels of each group alone (Mondrian calibration): a pixel gets the widest of the bands
that all photos and each of its groups ask for, so that every one of these promises holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from huebands.conformal import calibration_files as files
from huebands.conformal.bands import STEPS
from huebands.conformal.groups import GROUPS, Grouping
from huebands.conformal.scores import JOINT, KINDS
from huebands.conformal.table import LossTable
from huebands.statistics.risk_bounds import SLACK, first_step, first_step_of_sums, rcps_step

Mode = Literal["per_channel", "joint"]
MODES: tuple[Mode, ...] = ("per_channel", "joint")

CalibrationError = files.CalibrationError


class AlphaError(ValueError):
    """The calibration photos do not support this alpha; the message says which they do."""

    def __init__(self, alpha: object, photos: int, whose: str = "calibration photos") -> None:
        # Rounded up, so that the number shown is accepted.
        smallest = -(-1_000_000 // (photos + 1)) / 1_000_000
        super().__init__(
            f"alpha (={alpha!r}) must be in [{smallest:g}, 1): {photos} {whose} support no alpha below 1/{photos + 1}"
        )


class ModeError(ValueError):
    """The kind of promise is not one of `MODES`."""


@dataclass(frozen=True)
class Shape:
    """What the family of bands depends on beside the network: fixed before it is calibrated.

    Attributes:
        adaptivity: see `density.intervals`.
        joint_offsets: steps by which R, G and B are ahead of the joint family's step; the least is 0.
        grouping: groups of pixels.
    """

    adaptivity: float
    joint_offsets: tuple[int, int, int]
    grouping: Grouping


@dataclass(frozen=True)
class Calibration:
    """Losses of the calibration photos, and what they belong to.

    Attributes:
        shape: of the family of bands.
        table: the losses.
        weights_sha256: of the generator's weights.
        distribution_sha256: of the colour distribution's weights and description.
        preprocessing_sha256: of network and preprocessing, as the model package has it.
        data_sha256: of the prepared data.
        min_chroma: least mean chroma of the calibration photos, CIELAB units; what is nearly grey was left out.
        unlike_p_value: p-value of likeness at or below which a photo counts as unlike the calibration photos.
        certificate: what was measured on the test split, as `certificate.build` gives it; empty before.
    """

    shape: Shape
    table: LossTable
    weights_sha256: str
    distribution_sha256: str
    preprocessing_sha256: str
    data_sha256: str
    min_chroma: float
    unlike_p_value: float
    certificate: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_shape(self.shape)
        self.table.check()

    @property
    def photos(self) -> int:
        """How many photos calibrated this."""
        return len(self.table.losses)

    @property
    def smallest_alpha(self) -> float:
        """The smallest alpha that so many photos support: 1/(n + 1)."""
        return 1 / (self.photos + 1)

    def supports(self, alpha: object) -> bool:
        """Whether alpha is a number in [1/(n + 1), 1)."""
        return _supports(alpha, self.photos)

    def steps(self, alpha: float, mode: str = "per_channel", delta: float | None = None) -> np.ndarray:
        """Find the first steps of the nested bands that keep the promise at alpha.

        Args:
            alpha: share that may leave its band.
            mode: "per_channel" for channel values, "joint" for pixels.
            delta: None for the promise on average over calibrations; else the chance that the draw of the calibration
                photos may have to break it.

        Returns:
            int64 (3,), for R, G and B.

        Raises:
            AlphaError: unless 1/(n + 1) <= alpha < 1.
            ModeError: for a mode that is not one of `MODES`.
            RiskError: when delta is not in (0, 1), or n photos cannot promise alpha with it.
        """
        kinds = self._kinds(mode)
        if not self.supports(alpha):
            raise AlphaError(alpha, self.photos)
        losses = self.table.losses[:, kinds]
        if delta is None:
            found = first_step(losses, alpha)
        else:
            # Betting on the losses one after the other asks for an order that has nothing to do with them. All
            # channels' promises are to hold at once, so they share delta.
            order, sharing = np.random.default_rng(0).permutation(self.photos), losses.shape[1]
            found = np.array([rcps_step(losses[order, kind], alpha, delta, sharing) for kind in range(sharing)])
        return self._of_channels(found, mode)

    def group_steps(self, alpha: float, mode: str = "per_channel", delta: float | None = None) -> np.ndarray:
        """Find for each group the steps that keep its own promise and that of all photos: int64 (GROUPS, 3).

        Raises:
            AlphaError: when the smallest group has too few photos for alpha; else like `steps`.
        """
        kinds, common = self._kinds(mode), self.steps(alpha, mode, delta)
        photos = self.table.group_photos
        smallest = int(photos[photos > 0].min(initial=self.photos))
        if not _supports(alpha, smallest):
            name = GROUPS[int(np.argmin(np.where(photos > 0, photos, self.photos + 1)))]
            raise AlphaError(alpha, smallest, f"calibration photos of the group {name!r}")
        own = first_step_of_sums(self.table.group_sums[:, kinds], photos[:, None], alpha)
        # A group that no calibration photo shows asks for nothing; one merged away for what stands for it asks.
        own = np.where(photos[:, None] > 0, own, 0)[list(self.shape.grouping.merged_into)]
        return np.asarray(np.maximum(np.stack([self._of_channels(steps, mode) for steps in own]), common))

    def groups(self) -> dict[str, int]:
        """How many calibration photos show each group."""
        return {name: int(photos) for name, photos in zip(GROUPS, self.table.group_photos, strict=True) if photos}

    def _kinds(self, mode: str) -> slice:
        if mode not in MODES:
            raise ModeError(f"mode (={mode!r}) must be one of {', '.join(map(repr, MODES))}")
        return slice(0, JOINT) if mode == "per_channel" else slice(JOINT, KINDS)

    def _of_channels(self, steps: np.ndarray, mode: str) -> np.ndarray:
        offsets = self.shape.joint_offsets if mode == "joint" else (0, 0, 0)
        return np.asarray(np.minimum(steps + np.array(offsets), STEPS - 1))

    def save(self, folder: Path) -> None:
        """Write calibration.npz, then calibration.json; the same calibration gives the same bytes."""
        grouping = self.shape.grouping
        description = {
            "weights_sha256": self.weights_sha256,
            "distribution_sha256": self.distribution_sha256,
            "preprocessing_sha256": self.preprocessing_sha256,
            "data_sha256": self.data_sha256,
            "min_chroma": self.min_chroma,
            "unlike_p_value": self.unlike_p_value,
            "photos": self.photos,
            "smallest_alpha": self.smallest_alpha,
            "shape": {
                "adaptivity": self.shape.adaptivity,
                "joint_offsets": list(self.shape.joint_offsets),
                "photo_edges": list(grouping.photo_edges),
                "merged_into": list(grouping.merged_into),
            },
            "groups": self.groups(),
            "merged": grouping.merged(),
            "certificate": dict(self.certificate),
        }
        files.write(folder, self.table.tables(), description)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read calibration.npz and calibration.json; raises like `parse`."""
        return cls.parse(folder, files.read(folder))

    @classmethod
    def parse(cls, folder: Path, contents: Mapping[str, bytes]) -> Self:
        """Make a calibration of its files' contents, and check that they agree.

        Args:
            folder: of the files, for the error.
            contents: by name, of both files and maybe others.

        Raises:
            CalibrationError: naming the file and what is wrong with it.
        """
        tables, description = files.parse(folder, contents)
        stored = description["shape"]
        grouping = Grouping(tuple(stored["merged_into"]), tuple(stored["photo_edges"]))
        shape, table = Shape(stored["adaptivity"], tuple(stored["joint_offsets"]), grouping), LossTable(**tables)
        for name, check in ((files.DESCRIPTION, lambda: _check_shape(shape)), (files.TABLES, table.check)):
            try:
                check()
            except CalibrationError as error:
                raise CalibrationError(f"{Path(folder) / name}: {error}") from None
        result = cls(
            shape,
            table,
            weights_sha256=description["weights_sha256"],
            distribution_sha256=description["distribution_sha256"],
            preprocessing_sha256=description["preprocessing_sha256"],
            data_sha256=description["data_sha256"],
            min_chroma=description["min_chroma"],
            unlike_p_value=description["unlike_p_value"],
            certificate=description["certificate"],
        )
        result._check_description(Path(folder) / files.DESCRIPTION, description)
        return result

    def _check_description(self, path: Path, description: Mapping[str, Any]) -> None:
        told = (
            ("photos", self.photos),
            ("smallest_alpha", self.smallest_alpha),
            ("groups", self.groups()),
            ("merged", self.shape.grouping.merged()),
        )
        for key, value in told:
            if description[key] != value:
                raise CalibrationError(f"{path}: {key} (={description[key]!r}) must be {value}, as the tables say")
        for entry in self.certificate.get("curve", []):
            try:
                steps = self.steps(entry["alpha"], entry["mode"]).tolist()
            except ValueError as error:
                raise CalibrationError(f"{path}: certificate: {error}") from None
            if entry["steps"] != steps:
                raise CalibrationError(
                    f"{path}: certificate at alpha {entry['alpha']}, {entry['mode']}: steps (={entry['steps']!r})"
                    f" must be {steps}, as the tables say"
                )


def _supports(alpha: object, photos: int) -> bool:
    is_number = isinstance(alpha, float | int | np.floating) and not isinstance(alpha, bool)
    return is_number and bool(1 / (photos + 1) - SLACK <= alpha < 1)  # type: ignore[operator]


def _check_shape(shape: Shape) -> None:
    def check(holds: bool, name: str, value: object, must: str) -> None:
        if not holds:
            raise CalibrationError(f"shape: {name} (={value!r}) must {must}")

    offsets, merged = shape.joint_offsets, shape.grouping.merged_into
    whole = len(offsets) == 3 and all(type(offset) is int and 0 <= offset < STEPS for offset in offsets)
    check(whole and min(offsets) == 0, "joint_offsets", offsets, f"be 3 integers in 0..{STEPS - 1}, the least 0")
    even = type(shape.adaptivity) in (int, float) and 0 <= shape.adaptivity <= 1
    check(even, "adaptivity", shape.adaptivity, "lie in [0, 1]")
    known = len(merged) == len(GROUPS) and all(type(into) is int and 0 <= into < len(GROUPS) for into in merged)
    check(known, "merged_into", merged, f"be {len(GROUPS)} integers in 0..{len(GROUPS) - 1}")
    check(all(merged[into] == into for into in merged), "merged_into", merged, "name groups that are not merged away")
    edges = shape.grouping.photo_edges
    check(
        len(edges) == 2 and all(type(edge) is float for edge in edges) and edges[0] <= edges[1],
        "photo_edges",
        edges,
        "be 2 rising numbers",
    )

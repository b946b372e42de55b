"""Parameters of the calibration: the section `calibrate` of params.yaml."""

from dataclasses import dataclass

from huebands.models.parameters import check


@dataclass(frozen=True, kw_only=True)
class CalibrateParams:
    """Split conformal calibration and the report on it."""

    adaptivity: float  # of the bands: 0 for the least mean width, 1 to cover pixels alike, however hard to guess
    alphas: tuple[float, ...]  # at which coverage and width are measured
    report_alpha: float  # the alpha of the headline figures, the strata and the heat maps
    unlike_p_value: float  # of likeness, at or below which a photo counts as unlike the calibration photos
    heatmaps: int  # test photos shown with their band widths
    hints: bool  # calibrate photos with hints too, so that the model follows hints whatever its network
    seed: int  # of the bootstrap

    def __post_init__(self) -> None:
        check(0 <= self.adaptivity <= 1, "adaptivity", self.adaptivity, "lie in [0, 1]")
        rising = all(low < high for low, high in zip(self.alphas, self.alphas[1:], strict=False))
        inside = len(self.alphas) > 0 and all(0 < alpha < 1 for alpha in self.alphas)
        check(rising and inside, "alphas", self.alphas, "be rising numbers in (0, 1), at least one")
        listed = self.report_alpha in self.alphas
        check(listed, "report_alpha", self.report_alpha, f"be one of alphas (={self.alphas})")
        unlike = 0 < self.unlike_p_value < 1
        check(unlike, "unlike_p_value", self.unlike_p_value, "lie in (0, 1)")
        for name in ("heatmaps", "seed"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "not be negative")

"""From a model package and a photo to colours and bands, at the photo's own size."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from huebands.colorize.abilities import Abilities
from huebands.colorize.colours import ColourModel
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.following import Following
from huebands.colorize.full_colours import FullColours
from huebands.colorize.guidance import Guidance
from huebands.colorize.hints import HintRequest
from huebands.colorize.hints_report import USUAL, HintsReport
from huebands.colorize.prediction import Prediction
from huebands.colorize.result import Colorization
from huebands.colorize.sampling import Sampling
from huebands.conformal.bands import NestedBands
from huebands.conformal.calibration import Calibration
from huebands.conformal.groups import texture_of
from huebands.conformal.guarantee import Guarantee, Mode
from huebands.conformal.photo_bands import ChosenBands, PhotoBands
from huebands.conformal.shape import Shape
from huebands.density.atypicality import p_value
from huebands.density.expected_error import LEVELS, expected_errors
from huebands.density.hinted import HintKernel
from huebands.density.model import Density
from huebands.models.windows import canvas_size
from huebands.package.choose import default_package, released_sha256
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import PackageError
from huebands.photos.grey import GreyPhoto, PhotoInput
from huebands.photos.resize import Size


@dataclass(frozen=True, eq=False)
class Colorizer:
    """Colorizes photos with one model package; safe to share between threads.

    Attributes:
        package: the model package.
        source: the folder or the address that it was loaded from.
    """

    package: ModelPackage
    source: str

    @classmethod
    def load(cls, source: str | Path | None = None) -> Self:
        """Load a model package.

        Args:
            source: a folder, or "models:/<name>@<alias>" or "models:/<name>/<version>" for the registry; None
                takes the best of models/release, else models/generator.

        Raises:
            PackageError: when there is none, or it is not sound.
        """
        if source is None:
            source = default_package()
        if str(source).startswith("models:"):
            from huebands.registry.connection import TrackingError
            from huebands.registry.models import download_package, find_package

            try:
                registered = find_package(str(source))
                folder = download_package(registered.uri)
            except TrackingError as error:
                raise PackageError(str(error)) from error
            return cls(read_package(folder, registered.package_sha256), str(source))
        return cls(read_package(Path(source), released_sha256(Path(source))), str(source))

    @property
    def calibration(self) -> Calibration:
        """The conformal calibration.

        Raises:
            PackageError: when the package has none.
        """
        if self.package.calibration is None:
            raise PackageError(
                f"{self.source}: has no calibration, so no bands; make a complete package with `dvc repro`"
            )
        return self.package.calibration

    def calibration_given(self, hints: object | None, like: object | None) -> Calibration:
        """The calibration of photos with such guidance, or where there is none that of photos without.

        Args:
            hints: None: there are none.
            like: a reference photo; None: there is none.

        Raises:
            PackageError: when the package has no calibration.
        """
        with_hints = self.package.hints_calibration
        return self.calibration if hints is None or like is not None or with_hints is None else with_hints

    @property
    def density(self) -> Density:
        """The conditional colour density that shapes the bands.

        Raises:
            PackageError: when the package has none.
        """
        if self.package.density is None:
            raise PackageError(f"{self.source}: has no colour density; make a complete package with `dvc repro`")
        return self.package.density

    @property
    def abilities(self) -> Abilities:
        """What it can be asked for beside the colours of a grey photo."""
        return Abilities(self.package.generator, self.source, self.package.hints_calibration is not None)

    @cached_property
    def colours(self) -> ColourModel:
        """The generator with its preprocessing."""
        return ColourModel.build(self.package.generator, self.package.config)

    def colorize(
        self,
        image: PhotoInput,
        alpha: float = 0.1,
        mode: Mode = "per_channel",
        name: str | None = None,
        *,
        delta: float | None = None,
        grouped: bool = False,
        samples: int = 0,
        seed: int = 0,
        hints: HintRequest | None = None,
        like: Exemplar | None = None,
    ) -> Colorization:
        """Colorize one photo and give its bands.

        Args:
            image: a path, an image file's bytes, uint8 (H, W) or (H, W, 3) sRGB, or a Pillow image. Only the
                lightness of a colour photo is used.
            alpha: see `Guarantee`; so are mode, delta and grouped.
            mode: "per_channel" counts each channel's values; "joint" counts a pixel when any channel leaves.
            name: name of the photo in errors.
            delta: None, or the probability with which the draw of the calibration photos may break the guarantee.
            grouped: guarantee alpha in each group of pixels (lightness and chroma, texture, photo) as well.
            samples: how many further colourings to draw, at most `sampling.MAX_SAMPLES`; 0: none.
            seed: of the samples, in [0, 2**63).
            hints: colours that someone has painted on the photo.
            like: a reference photo, whose colours it is to take.

        Raises:
            AlphaError: when alpha is not in [1/(n+1), 1) for n calibration photos.
            ModeError: when the mode is unknown.
            RiskError: when delta is not in (0, 1), or so few photos do not support alpha with it.
            SamplesError: when the model knows one colouring only, or so many are not possible.
            HintsError: when the model takes no hints, or these do not fit the photo.
            ExemplarError: when the model takes no reference.
            ImageError: when the photo cannot be read.
        """
        guarantee = Guarantee(alpha=alpha, mode=mode, delta=delta, grouped=grouped)
        # An error before the work, where the guarantee is not supported.
        self.calibration_given(hints, like).check(guarantee)
        sampling = Sampling(count=samples, seed=seed) if samples else None
        self.abilities.check_samples(sampling)
        prediction = self.predict(GreyPhoto.read(image, name), hints=hints, like=like)
        return self.choose(prediction, guarantee, sampling)

    def predict(
        self,
        photo: GreyPhoto,
        shape: Shape | None = None,
        hints: HintRequest | None = None,
        like: Exemplar | None = None,
        kernel: HintKernel | None = None,
    ) -> Prediction:
        """Find the colours of a photo, and its bands at every step. The networks run here only.

        Args:
            photo: photo of any size.
            shape: shape of the bands; the calibration's unless given.
            hints: colours that someone has painted on it.
            like: a reference photo, whose colours it is to take.
            kernel: how far hints reach by the density; the calibration's unless a shape is given, None: nowhere.

        Raises:
            PackageError: when the package has no calibration and no shape is given, or no density.
            HintsError: when the model takes no hints, or these do not fit the photo.
            ExemplarError: when the model takes no reference.
        """
        if kernel is None:
            self.abilities.check_hints(hints)
        self.abilities.check_exemplar(like)
        if shape is None:
            calibration = self.calibration_given(hints, like)
            shape, kernel = calibration.shape, None if calibration.law is None else calibration.law.kernel
        colours, density = self.colours, self.density
        # Both at once, from one lightness at full size.
        photo.lightness(colours.first_size(photo), Size(*canvas_size(photo.picture_shape, density.image_size)))
        with torch.inference_mode():
            estimate, unhinted = density.estimate(photo), None
            guidance = Guidance(hints=None if hints is None else hints.on(photo), exemplar=like)
            if guidance.hints is not None:
                usual = self.package.calibration.shape if self.package.calibration is not None else shape
                unhinted_HW3 = colours.predict(photo, Guidance(exemplar=like))
                unhinted = NestedBands(unhinted_HW3, photo.levels_HW, estimate.intervals(usual.adaptivity))
                if kernel is not None:
                    following = Following(photo, guidance.hints, estimate, kernel)
                    estimate = following.density
                    if not self.package.generator.takes_hints:
                        guidance = replace(guidance, following=following)
            paint = colours.paint(photo, guidance)
            rgb_HW3 = paint.on(photo.levels_HW).view(np.uint8)
            nested = NestedBands(rgb_HW3, photo.levels_HW, estimate.intervals(shape.adaptivity))
            errors_KSS = None
            if (probabilities_QSS := estimate.probabilities_QSS) is not None:
                errors_KSS = expected_errors(probabilities_QSS, estimate.ab(LEVELS), rgb_HW3, photo.levels_HW)
        texture_SS = texture_of(estimate.L_SS)
        bands = PhotoBands(nested, shape.grouping, texture_SS, estimate.entropy, estimate.atypicality)
        return Prediction(photo, rgb_HW3, bands, errors_KSS, guidance, unhinted, paint)

    def choose(
        self, prediction: Prediction, guarantee: Guarantee, sampling: Sampling | None = None
    ) -> Colorization:  # fmt: skip
        """Choose the bands that keep a guarantee: fast, compared with `predict`, where no samples are asked for.

        Raises:
            AlphaError: when the calibration photos do not support alpha.
            RiskError: when they do not support alpha with delta.
            SamplesError: when so many samples cannot be drawn.
        """
        self.abilities.check_samples(sampling)
        samples = self.colours.samples(prediction.photo, sampling, prediction.guidance) if sampling else ()
        calibration = self.calibration_of(prediction)
        steps = common = calibration.steps(guarantee)
        if guarantee.grouped:
            steps = prediction.bands.widest_steps(calibration.group_steps(guarantee))
        bands = ChosenBands(prediction.bands, steps, guarantee.mode)
        photo, paint = prediction.photo, prediction.paint
        full = None
        if photo.kept_HW is not None and paint is not None:
            full = FullColours.of(paint, bands)
        return Colorization(
            rgb=prediction.rgb,
            full=full,
            chosen=bands,
            grey=prediction.photo.levels_HW,
            guarantee=guarantee,
            steps=common,
            likeness=self.likeness(prediction),
            error_KSS=self.expected_error(prediction),
            samples=samples,
            hints=self.judge_hints(prediction),
            caveat=prediction.guidance.caveat if calibration.law is None else None,
            law=None if calibration.law is None else calibration.law.in_words,
        )

    def calibration_of(self, prediction: Prediction) -> Calibration:
        """The calibration that chooses a prediction's bands, see `calibration_given`."""
        return self.calibration_given(prediction.guidance.hints, prediction.guidance.exemplar)

    def judge_hints(self, prediction: Prediction) -> HintsReport | None:
        """Say which of a photo's hints lie outside the bands that it has without hints; None where there are none.

        These are the bands of each channel at `USUAL`, or at the smallest alpha that the calibration supports.
        """
        hints = prediction.guidance.hints
        if hints is None or prediction.unhinted is None:
            return None
        alpha = max(USUAL, self.calibration.smallest_alpha)
        steps = self.calibration.steps(Guarantee(alpha=alpha))
        return HintsReport.of(hints, prediction.unhinted, alpha, steps, prediction.rgb)

    def expected_error(self, prediction: Prediction) -> NDArray[np.float32] | None:
        """The calibrated expected error, (K, S, S) in CIEDE2000; see `Colorization.error_KSS`."""
        curve, errors_KSS = self.calibration_of(prediction).error_curve, prediction.expected_error_KSS
        if curve is None or errors_KSS is None:
            return None
        return curve.calibrate(errors_KSS.numpy())

    def likeness(self, prediction: Prediction) -> float:
        """The p-value of a photo's atypicality score, which hints do not change, among the calibration photos'."""
        return p_value(prediction.bands.atypicality, self.calibration.table.atypicality)

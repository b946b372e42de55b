"""What a run asks of every photo."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.credentials import Credentials
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.fading import Fading
from huebands.colorize.fingerprints import hints_sha256, levels_sha256
from huebands.colorize.hints import HintRequest
from huebands.colorize.manifest import Record
from huebands.colorize.report import REPORT
from huebands.colorize.result_files import file_names
from huebands.colorize.sampling import Sampling
from huebands.colorize.standard_streams import STDIN
from huebands.conformal.error_map import MapName
from huebands.conformal.guarantee import Guarantee
from huebands.photos.encode import Format, format_of
from huebands.photos.formats import open_image


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is asked of every photo.

    Attributes:
        guarantee: of the bands.
        map_name: the map that the picture of uncertainty shows.
        sampling: of further colourings.
        hints: of the one photo.
        like: a reference for all.
        max_pixels: see `read_picture`.
        format: of the pictures; None: that of each photo's file where it is one of them, else PNG.
        fading: of their colours.
        credentials: that sign them; None: they are not signed.
        crop_border: whether the results are the pictures inside the borders.
        standard_input: the file that holds what came from there; None: nothing did.
    """

    guarantee: Guarantee
    map_name: MapName | None = None
    sampling: Sampling | None = None
    hints: HintRequest | None = None
    like: Exemplar | None = None
    max_pixels: int | None = None
    crop_border: bool = False
    format: Format | None = None
    fading: Fading = field(default_factory=Fading)
    credentials: Credentials | None = None
    standard_input: Path | None = None

    def file_of(self, photo: Path) -> Path:
        """The file of a photo, whose path may stand for standard input."""
        return self.standard_input if photo == STDIN and self.standard_input is not None else photo

    def settings(self, colorizer: Colorizer) -> dict[str, Any]:
        """All that decides a photo's results, as JSON can hold it."""
        guarantee, sampling = self.guarantee, self.sampling
        return {
            "package_sha256": colorizer.package.package_sha256,
            "alpha": guarantee.alpha,
            "mode": guarantee.mode,
            "delta": guarantee.delta,
            "grouped": guarantee.grouped,
            "map": self.map_name,
            "samples": sampling.count if sampling else 0,
            "seed": sampling.seed if sampling else None,
            "hints_sha256": None if self.hints is None else hints_sha256(self.hints),
            "like_sha256": None if self.like is None else levels_sha256(self.like.rgb_HW3),
            "crop_border": self.crop_border,
            "format": self.format,
            "strength": self.fading.strength,
            "faded_at_width": self.fading.width,
            "signer_sha256": None if self.credentials is None else hashlib.sha256(self.credentials.chain).hexdigest(),
        }

    def format_of(self, photo: Path) -> Format:
        """The format of the pictures of a photo; PNG where it cannot be read: whoever reads it says why."""
        if self.format is not None:
            return self.format
        try:
            with self.file_of(photo).open("rb") as file, open_image(file) as image:
                return format_of(image.format or "")
        except Exception:  # Pillow raises almost any exception on hostile bytes
            return "png"

    def files_of(self, record: Record) -> tuple[str, ...]:
        """The paths of a photo's results below the folder."""
        samples = self.sampling.count if self.sampling else 0
        names = file_names(record.result, samples, record.format, self.fading.width is not None)
        return (*names, f"{record.result}{REPORT}")

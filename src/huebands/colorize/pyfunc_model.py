"""A model package as MLflow runs it: MLflow executes this file when it loads or serves a registered version.

A photo is a row of a table: `image` has the bytes of its file, or `grey` its levels. A result is a row too, with the
files that `huebands colorize` writes. `registry.pyfunc` has their types, and joins this file to a package.
"""

import base64
import binascii
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from huebands.colorize.border import Border
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.own_colour import own_colour
from huebands.colorize.picture_file import keepable
from huebands.colorize.report import Origin, files_of
from huebands.colorize.unlike import looks_drawn
from huebands.conformal.guarantee import Guarantee
from huebands.package.read import read_package
from huebands.photos.errors import ImageError
from huebands.photos.grey import GreyPhoto
from huebands.photos.metadata import Metadata, read_metadata
from huebands.photos.picture import Picture
from huebands.photos.read import read_picture

RESULT = ("colorized", "bands", "uncertainty", "report")  # columns of a result


class ColorizerModel(PythonModel):  # type: ignore[misc]
    """Colorizes the photos of a table; safe to share between threads once it is loaded."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the package that lies in the version.

        Raises:
            PackageError: when it is not sound, or not the one that was registered.
        """
        folder, expected = Path(context.artifacts["package"]), context.model_config["package_sha256"]
        self._colorizer = Colorizer(read_package(folder, expected), str(folder))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Colorize each photo.

        Args:
            context: of `load_context`.
            model_input: `image`, the bytes of a file or their base64, and `grey`, levels in [0, 255], (H, W); one of
                the columns may be missing, and each row has a value in one.
            params: alpha, mode, delta and grouped, see `Guarantee`.

        Returns:
            For each photo the columns of `RESULT`: a PNG, an archive of NumPy, a PNG, and JSON as text.

        Raises:
            MlflowException: naming the row and the reason, when a photo cannot be read or a parameter is not supported.
        """
        results = []
        for row, photo in enumerate(model_input.to_dict("records")):
            try:
                results.append(self._colorize(photo, Guarantee(**(params or {}))))
            except ValueError as error:
                raise MlflowException(f"row {row}: {error}", error_code=INVALID_PARAMETER_VALUE) from error
        return pd.DataFrame(results, columns=list(RESULT))

    def _colorize(self, photo: Mapping[str, Any], guarantee: Guarantee) -> dict[str, bytes | str]:
        colorizer = self._colorizer
        colorizer.calibration.check(guarantee)
        content, picture = _read(photo)
        grey = GreyPhoto.of_picture(picture)
        result = colorizer.choose(colorizer.predict(grey), guarantee)
        origin = Origin(
            photo="image" if content is not None else "grey",
            photo_sha256=None if content is None else hashlib.sha256(content).hexdigest(),
            own_colour=own_colour(picture.on_white(), colorizer.calibration.min_chroma),
            looks_drawn=looks_drawn(result, colorizer.calibration),
            border=Border.of(grey),
            metadata=Metadata.none() if content is None else keepable(read_metadata(content), "png"),
        )
        colorized, bands, uncertainty, report = files_of(colorizer.package, origin, result, "photo")
        files = {"colorized": colorized, "bands": bands, "uncertainty": uncertainty}
        return {name: bytes(content) for name, (_, content) in files.items()} | {"report": bytes(report[1]).decode()}


def _read(photo: Mapping[str, Any]) -> tuple[bytes | None, Picture]:
    """The content of the photo's file, None where there are only its levels, and the picture."""
    given = [name for name in ("image", "grey") if _is_given(photo.get(name))]
    if len(given) != 1:
        raise ImageError("photo", f"has {' and '.join(given) or 'neither'}; give image (bytes) or grey (levels)")
    if given == ["grey"]:
        return None, _picture_of(photo["grey"])
    content = photo["image"]
    if isinstance(content, str):
        try:
            content = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise ImageError("image", f"is a text, but no base64 ({error}); give the bytes of a file") from error
    return bytes(content), read_picture(bytes(content), "image")


def _is_given(value: Any) -> bool:
    """Whether a cell of the table has a value: pandas fills others with None or NaN."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _picture_of(levels: Any) -> Picture:
    try:
        levels_HW = np.array([np.asarray(row) for row in levels])
    except ValueError as error:
        raise ImageError("grey", f"has rows of different lengths ({error})") from error
    if levels_HW.ndim != 2 or levels_HW.size == 0 or levels_HW.dtype.kind not in "iu":
        raise ImageError("grey", f"is an array of {levels_HW.dtype} {levels_HW.shape}; give integers (H, W), not empty")
    if levels_HW.min() < 0 or levels_HW.max() > 255:
        raise ImageError("grey", f"has levels in [{levels_HW.min()}, {levels_HW.max()}]; give levels in [0, 255]")
    return Picture(np.repeat(levels_HW.astype(np.uint8)[..., None], 3, axis=2), None, "array")


set_model(ColorizerModel())

"""Reads and writes the two files of a calibration: tables in calibration.npz, the rest in calibration.json.

A calibration on photos with hints has the names calibration-hints.npz and calibration-hints.json.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from huebands.conformal.calibration import Calibration
from huebands.conformal.error_map import ErrorCurve
from huebands.conformal.groups import Grouping
from huebands.conformal.guarantee import Guarantee
from huebands.conformal.law import HintLaw
from huebands.conformal.shape import Shape
from huebands.conformal.table import CalibrationError, LossTable
from huebands.files import atomic, npz
from huebands.models.parameters import ParamsError, below, build, check

FORMAT = 4
TABLES, DESCRIPTION = NAMES = ("calibration.npz", "calibration.json")
WITH_HINTS = ("calibration-hints.npz", "calibration-hints.json")
# Files of format 2 lack these two, which were the same for all packages of that time.
_OF_FORMAT_2 = {"min_chroma": 5.0, "unlike_p_value": 0.05}
_BEFORE_FORMAT_4 = {"evenness": "adaptivity", "strangeness": "atypicality"}  # names that changed
_LARGEST = 2**30  # bytes of all tables; 1,000 photos take some 10 million
_REMEDY = "run the calibrate stage again, or take the package from its source again"


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A shape as calibration.json holds it."""

    adaptivity: float
    joint_offsets: tuple[int, ...]
    photo_edges: tuple[float, ...]
    merged_into: tuple[int, ...]

    def build(self) -> Shape:
        """Make the shape; raises like `Shape`."""
        offsets: Any = self.joint_offsets
        edges: Any = self.photo_edges
        return Shape(self.adaptivity, offsets, Grouping(self.merged_into, edges))


@dataclass(frozen=True, kw_only=True)
class _Reached:
    """A row of the certificate's curve: the bands at one alpha. The file may hold more keys."""

    mode: str
    alpha: float
    coverage: float
    coverage_low: float
    coverage_high: float
    width: float
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("alpha", "coverage", "coverage_low", "coverage_high"):
            check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "be a number in [0, 1]")
        check(0 <= self.width <= 255, "width", self.width, "be a number in [0, 255]")


@dataclass(frozen=True, kw_only=True)
class _Description:
    """The schema of calibration.json."""

    format: int
    tables_sha256: str
    weights_sha256: str
    distribution_sha256: str
    preprocessing_sha256: str
    data_sha256: str
    min_chroma: float
    unlike_p_value: float
    photos: int
    smallest_alpha: float
    shape: _Shape
    groups: dict[str, int]
    merged: dict[str, str]
    certificate: dict[str, Any]
    error_curve: Any = None  # of an `ErrorCurve`; left out where there is none, as in files of an earlier version
    law: Any = None  # of a `HintLaw`; left out where there is none

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_sha256"):
                check(bool(re.fullmatch("[0-9a-f]{64}", value)), field.name, value, "be a sha256")
        check(0 <= self.min_chroma < 200, "min_chroma", self.min_chroma, "be a number in [0, 200)")
        check(0 <= self.unlike_p_value < 1, "unlike_p_value", self.unlike_p_value, "be a number in [0, 1)")
        with below("certificate.curve"):
            curve = build(tuple[dict[str, Any], ...], self.certificate.get("curve", []))
        names = {field.name for field in fields(_Reached)}
        for index, row in enumerate(curve):
            with below(f"certificate.curve[{index}]"):
                build(_Reached, {name: value for name, value in row.items() if name in names})


def write_calibration(folder: Path | str, calibration: Calibration) -> Path:
    """Write the tables, then the description; the same calibration gives the same bytes.

    Returns:
        The path of the description.
    """
    tables_name, description_name = NAMES if calibration.law is None else WITH_HINTS
    tables = npz.encode(calibration.table.tables(), zipfile.ZIP_LZMA)  # half of what Deflate makes of losses
    grouping = calibration.shape.grouping
    description = _Description(
        format=FORMAT,
        tables_sha256=hashlib.sha256(tables).hexdigest(),
        weights_sha256=calibration.weights_sha256,
        distribution_sha256=calibration.distribution_sha256,
        preprocessing_sha256=calibration.preprocessing_sha256,
        data_sha256=calibration.data_sha256,
        min_chroma=calibration.min_chroma,
        unlike_p_value=calibration.unlike_p_value,
        photos=calibration.photos,
        smallest_alpha=calibration.smallest_alpha,
        shape=_Shape(
            adaptivity=calibration.shape.adaptivity,
            joint_offsets=calibration.shape.joint_offsets,
            photo_edges=grouping.photo_edges,
            merged_into=grouping.merged_into,
        ),
        groups=calibration.groups(),
        merged=grouping.merged(),
        certificate=dict(calibration.certificate),
        error_curve=calibration.error_curve,
        law=calibration.law,
    )
    values = {key: value for key, value in asdict(description).items() if value is not None}
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(folder / tables_name, tables)
    atomic.write_text(folder / description_name, text)
    return folder / description_name


def parse_calibration(
    folder: Path | str, contents: Mapping[str, bytes], names: tuple[str, str] = NAMES
) -> Calibration:  # fmt: skip
    """Make a calibration of its files' contents, and check that they agree.

    Args:
        folder: folder of the files, for the error.
        contents: by name, of both files and maybe others.
        names: of the two files, `NAMES` or `WITH_HINTS`.

    Raises:
        CalibrationError: names the file and what is wrong with it.
    """
    tables_path, path = (Path(folder) / name for name in names)
    try:
        description = build(_Description, _upgrade(json.loads(contents[path.name])))
        with below("shape"):
            shape = description.shape.build()
        with below("error_curve"):
            curve = None if description.error_curve is None else build(ErrorCurve, description.error_curve)
        check((description.law is None) == (names == NAMES), "law", description.law, f"fit the name {path.name}")
        with below("law"):
            law = None if description.law is None else build(HintLaw, description.law)
    except ParamsError as error:
        raise CalibrationError(f"{path}: {error}; {_REMEDY}") from None
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"{path}: not JSON ({error}); {_REMEDY}") from None
    sha256 = hashlib.sha256(contents[tables_path.name]).hexdigest()
    if sha256 != description.tables_sha256:
        raise CalibrationError(
            f"{tables_path}: sha256 (={sha256}) is not {description.tables_sha256}, which {path.name} names; {_REMEDY}"
        )
    table = _read_table(tables_path, contents[tables_path.name])
    try:
        calibration = Calibration(
            shape,
            table,
            weights_sha256=description.weights_sha256,
            distribution_sha256=description.distribution_sha256,
            preprocessing_sha256=description.preprocessing_sha256,
            data_sha256=description.data_sha256,
            min_chroma=description.min_chroma,
            unlike_p_value=description.unlike_p_value,
            error_curve=curve,
            law=law,
            certificate=description.certificate,
        )
    except CalibrationError as error:
        raise CalibrationError(f"{tables_path}: {error}") from None
    _check_agreement(path, description, calibration)
    return calibration


def _upgrade(description: Any) -> Any:
    """Give a description of an earlier format the keys of this one."""
    check(isinstance(description, dict), "the content", description, "be a mapping")
    number = description.get("format")
    check(type(number) is int and 2 <= number <= FORMAT, "format", number, f"be one of 2, 3, {FORMAT}")
    if number < FORMAT and isinstance(description.get("shape"), dict):
        names = {key: _BEFORE_FORMAT_4.get(key, key) for key in description["shape"]}
        description = {**description, "shape": {names[key]: value for key, value in description["shape"].items()}}
    return _OF_FORMAT_2 | description if number == 2 else description


def _read_table(path: Path, content: bytes) -> LossTable:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST:
            raise ValueError(f"{size:,} bytes unpacked, more than {_LARGEST:,}")
        with np.load(io.BytesIO(content), allow_pickle=False) as tables_file:
            tables = {_BEFORE_FORMAT_4.get(name, name): np.asarray(tables_file[name]) for name in tables_file.files}
    except Exception as error:
        # zipfile and NumPy raise almost any exception on damaged bytes (RuntimeError, TokenError, ...).
        raise CalibrationError(f"{path}: not an archive of plain arrays ({error}); {_REMEDY}") from None
    if set(tables) != (names := {field.name for field in fields(LossTable)}):
        raise CalibrationError(f"{path}: arrays (={sorted(tables)}) must be {sorted(names)}; {_REMEDY}")
    return LossTable(**tables)


def _check_agreement(path: Path, description: _Description, calibration: Calibration) -> None:
    """Check that the description agrees with the tables."""
    expected = {
        "photos": calibration.photos,
        "smallest_alpha": calibration.smallest_alpha,
        "groups": calibration.groups(),
        "merged": calibration.shape.grouping.merged(),
    }
    for key, value in expected.items():
        if (stored := getattr(description, key)) != value:
            raise CalibrationError(f"{path}: {key} (={stored!r}) must be {value}, as the tables say")
    for row in calibration.certificate.get("curve", []):
        try:
            steps = calibration.steps(Guarantee(alpha=row["alpha"], mode=row["mode"])).tolist()
        except ValueError as error:
            raise CalibrationError(f"{path}: certificate: {error}") from None
        if row["steps"] != steps:
            raise CalibrationError(
                f"{path}: certificate at alpha {row['alpha']}, {row['mode']}: steps (={row['steps']!r})"
                f" must be {steps}, as the tables say"
            )

"""Reads and writes the two files of a calibration: tables in calibration.npz, the rest in calibration.json."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from huebands.files import atomic

FORMAT = 4
FORMATS = (2, 3, FORMAT)  # that can be read: packages of models/release have older ones
# Files of format 2 lack these two, because they had one value for all packages of that time.
_OF_FORMAT_2 = {"min_chroma": 5.0, "unlike_p_value": 0.05}
_BEFORE_FORMAT_4 = {"evenness": "adaptivity", "strangeness": "atypicality"}  # names that changed
TABLES, DESCRIPTION = "calibration.npz", "calibration.json"
_LARGEST = 2**30  # bytes of all tables; 1,000 photos take some 10 million
_ARRAYS = {"losses", "group_sums", "group_photos", "atypicality"}
_HASHES = ("tables_sha256", "weights_sha256", "distribution_sha256", "preprocessing_sha256", "data_sha256")
_KEYS = {"format", *_HASHES, *_OF_FORMAT_2, "photos", "smallest_alpha", "shape", "groups", "merged", "certificate"}
_SHAPE_KEYS = {"adaptivity", "joint_offsets", "photo_edges", "merged_into"}
_CURVE_NUMBERS = {"alpha": 1, "coverage": 1, "coverage_low": 1, "coverage_high": 1, "width": 255}
_CURVE_KEYS = {"mode", "steps", *_CURVE_NUMBERS}
_REMEDY = "run the calibrate stage again, or take the package from its source again"


class CalibrationError(ValueError):
    """A calibration is incomplete, inconsistent or of an unknown format."""


def write(folder: Path, tables: Mapping[str, np.ndarray], description: Mapping[str, Any]) -> None:
    """Write both files; `description` gets the format's number and the tables' hash."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **tables)
    content = {
        "format": FORMAT,
        "tables_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        **description,
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(folder / TABLES, buffer.getvalue())
    atomic.write_text(folder / DESCRIPTION, text)


def read(folder: Path) -> dict[str, bytes]:
    """Read both files: their contents by name, for `parse`.

    Raises:
        CalibrationError: naming the file that cannot be read.
    """
    return {name: _read_bytes(Path(folder) / name) for name in (DESCRIPTION, TABLES)}


def parse(folder: Path, files: Mapping[str, bytes]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Check keys, types and the tables' hash of both files.

    Args:
        folder: of the files, for the error.
        files: content by name, of both files and maybe others.

    Returns:
        The tables and the description, which has the newest format's keys.

    Raises:
        CalibrationError: naming the file and what is wrong with it.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    try:
        description = json.loads(files[DESCRIPTION])
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"{path}: not JSON ({error}); {_REMEDY}") from None
    description = _rename_shape(description)
    _check_description(path, description)
    content = files[TABLES]
    found = hashlib.sha256(content).hexdigest()
    if found != description["tables_sha256"]:
        raise CalibrationError(
            f"{folder / TABLES}: sha256 (={found}) is not {description['tables_sha256']}, "
            f"which {DESCRIPTION} names; {_REMEDY}"
        )
    return _read_tables(folder / TABLES, content), {**_OF_FORMAT_2, **description}


def _read_tables(path: Path, content: bytes) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST:
            raise ValueError(f"{size:,} bytes unpacked, more than {_LARGEST:,}")
        with np.load(io.BytesIO(content), allow_pickle=False) as tables_file:
            names = {name: _BEFORE_FORMAT_4.get(name, name) for name in tables_file.files}
            tables = {names[name]: np.asarray(tables_file[name]) for name in tables_file.files}
    except Exception as error:
        # zipfile and NumPy answer damaged bytes with nearly any exception (RuntimeError, TokenError, ...).
        raise CalibrationError(f"{path}: no archive of plain arrays ({error}); {_REMEDY}") from None
    if set(tables) != _ARRAYS:
        raise CalibrationError(f"{path}: arrays (={sorted(tables)}) must be {sorted(_ARRAYS)}; {_REMEDY}")
    return tables


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from None


def _rename_shape(description: Any) -> Any:
    """Give a description of an earlier format the newest names."""
    if not isinstance(description, dict) or description.get("format") == FORMAT:
        return description
    shape = description.get("shape")
    if not isinstance(shape, dict):
        return description
    return {**description, "shape": {_BEFORE_FORMAT_4.get(key, key): value for key, value in shape.items()}}


def _check_description(path: Path, description: Any) -> None:
    def check(holds: bool, name: str, value: object, must: str) -> None:
        if not holds:
            raise CalibrationError(f"{path}: {name} (={value!r}) must {must}; {_REMEDY}")

    check(isinstance(description, dict), "content", description, "be an object")
    known = type(description.get("format")) is int and description["format"] in FORMATS
    check(known, "format", description.get("format"), f"be one of {', '.join(map(str, FORMATS))}")
    keys = _KEYS if description["format"] > 2 else _KEYS - set(_OF_FORMAT_2)
    check(set(description) == keys, "keys", sorted(description), f"be {sorted(keys)}")
    for key in _HASHES:
        value = description[key]
        check(isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value)), key, value, "be a sha256")
    for key, largest in {"min_chroma": 200, "unlike_p_value": 1}.items():
        value = description.get(key, 0)
        check(type(value) in (int, float) and 0 <= value < largest, key, value, f"be a number in [0, {largest})")
    shape = description["shape"]
    right = isinstance(shape, dict) and set(shape) == _SHAPE_KEYS
    check(right, "shape", shape, f"have the keys {sorted(_SHAPE_KEYS)}")
    for key in _SHAPE_KEYS - {"adaptivity"}:
        check(isinstance(shape[key], list), f"shape: {key}", shape[key], "be a list")
    certificate = description["certificate"]
    check(isinstance(certificate, dict), "certificate", certificate, "be an object")
    entries = certificate.get("curve", [])
    check(isinstance(entries, list), "certificate: curve", entries, "be a list")
    for entry in entries:
        right = isinstance(entry, dict) and set(entry) >= _CURVE_KEYS
        check(right, "certificate: curve", entry, f"have the keys {sorted(_CURVE_KEYS)}")
        for key, largest in _CURVE_NUMBERS.items():
            right = type(entry[key]) in (int, float) and 0 <= entry[key] <= largest
            check(right, f"certificate: curve: {key}", entry[key], f"be a number in [0, {largest}]")

"""A model package as an MLflow model: `mlflow.pyfunc.load_model` and `mlflow models serve` take it as any other.

The model holds the package byte for byte, the code of this version of huebands, and no pickle. MLflow puts that code at
the front of the path when it loads the model, so that a version is run by the code that it was registered with.
"""

import warnings
from functools import cache
from importlib import metadata
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import huebands
from huebands.photos.write import encode_png

CODE = Path(huebands.__file__).parent
MODEL_FILE = CODE / "colorize" / "pyfunc_model.py"  # what MLflow executes
# What colorizing imports, beside MLflow and what all these need.
IMPORTED = (
    "numba", "numpy", "openvino", "pandas", "Pillow", "pillow-heif", "pyvips", "pyvips-binary", "safetensors", "scipy",
    "tifffile", "torch",
)  # fmt: skip
SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(DataType.binary, "image", required=False),
            ColSpec(Array(Array(DataType.long)), "grey", required=False),
        ]
    ),
    outputs=Schema(
        [
            ColSpec(DataType.binary, "colorized"),
            ColSpec(DataType.binary, "bands"),
            ColSpec(DataType.binary, "uncertainty"),
            ColSpec(DataType.string, "report"),
        ]
    ),
    params=ParamSchema(
        [
            ParamSpec("alpha", DataType.double, 0.1),
            ParamSpec("mode", DataType.string, "per_channel"),
            ParamSpec("delta", DataType.double, None),
            ParamSpec("grouped", DataType.boolean, False),
        ]
    ),
)


def save(package: Path, package_sha256: str, folder: Path, model: Model) -> None:
    """Write a package as an MLflow model.

    Args:
        package: folder.
        package_sha256: hash of the package, which the model checks when it is loaded.
        folder: of the model, new.
        model: names the run and the logged model that it belongs to.

    Raises:
        MlflowException: when MLflow refuses something.
        OSError: when a file cannot be read or written.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"mlflow\.")  # about its own types
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=model,
            python_model=str(MODEL_FILE),
            artifacts={"package": str(package)},
            code_paths=[str(CODE)],
            model_config={"package_sha256": package_sha256},
            signature=SIGNATURE,
            input_example=(example(), {"alpha": 0.1}),
            pip_requirements=list(requirements()),
        )


def example() -> pd.DataFrame:
    """A grey photo as the model takes it: a picture of 32 x 24 pixels that darkens to one side."""
    levels_HW = np.tile(np.linspace(32, 224, 32).round().astype(np.uint8), (24, 1))
    return pd.DataFrame({"image": [encode_png(levels_HW)]})


@cache
def requirements() -> tuple[str, ...]:
    """Pin what the model needs to be loaded and served: `IMPORTED`, MLflow, and what these need, as installed here.

    They are what the calibration ran with. In an environment of `make install` they are those of requirements.lock.
    """
    pins, seen, waiting = dict[str, str](), set[tuple[str, str]](), [(name, "") for name in ("mlflow", *IMPORTED)]
    while waiting:
        name, extra = waiting.pop()
        key = (canonicalize_name(name), extra)
        if key in seen:
            continue
        seen.add(key)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # here it works without
        # The local part of a version, as of torch's builds for one processor, is no release.
        pins[key[0]] = f"{distribution.metadata['Name']}=={distribution.version.partition('+')[0]}"
        for line in distribution.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(needed.name, wanted) for wanted in ("", *needed.extras)]
    return tuple(pin for _, pin in sorted(pins.items()))

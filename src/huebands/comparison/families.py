"""Every family on the same photos: trained, calibrated and compared (`make families`).

Each file of conf/model is a DVC experiment on data=photos, up to the stage calibrate, in a copy of the tree and in the
same MLflow store. Their packages are compared on the test split: with hints of the truth too where a family takes
them, and with the nearest training photo as a reference. reports/families/families.csv has what a comparison of colours
does not know: weights, time, bands.
"""

import csv
import io
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huebands.colorize.colorizer import Colorizer
from huebands.comparison.command import Request, run
from huebands.comparison.experiments import ExperimentError, check_data, run_missing, take_output
from huebands.comparison.own_photos import PhotoSet, read_prepared
from huebands.conformal.calibration import Calibration
from huebands.files import atomic
from huebands.files.cells import cell
from huebands.package.write import assemble
from huebands.photos.grey import GreyPhoto

CONF, REPORT = Path("conf/model"), Path("reports/families")
BASE = ("data=photos",)
PREPARED = "data/prepared"
OUTPUTS = ("models/trained", "models/density", "models/calibration", "reports/train")
HINTS = 8  # of each photo
ALPHA = 0.1
_TIMED = 20  # photos


def main() -> None:
    """Train the families that are missing, and compare all; the variable FAMILIES chooses some."""
    try:
        names = family_names(os.environ.get("FAMILIES", ""))
        run_missing({experiment_of(name): [*BASE, f"model={name}"] for name in names}, ["evaluate", "calibrate"])
        for name in names:
            take_package(name)
        data = REPORT / "prepared"  # the dataset of the working tree may be another
        take_output(experiment_of(names[0]), PREPARED, data)
        check_data({experiment_of(name): REPORT / "models" / name for name in names}, data)
        photos = read_prepared(data)
        request = Request(
            candidates=["grey", "lightness", *(f"{name}={REPORT / 'models' / name}" for name in names)],
            commands=[],
            timeout=0,
            train=data,
            output=REPORT,
            experiment="huebands-families",
            overwrite=True,
            **helps([Colorizer.load(REPORT / "models" / name) for name in names]),
        )
        run(request, photos, lambda line: print(line, flush=True))
        rows = [describe(name, photos) for name in names]
        atomic.write_text(REPORT / "families.csv", to_csv(rows))
    except (ExperimentError, ValueError, OSError) as error:
        raise SystemExit(f"families: {error}") from error


def family_names(chosen: str) -> list[str]:
    """All families, or those that are chosen: names with spaces between them.

    Raises:
        ExperimentError: naming one that does not exist.
    """
    known = sorted(path.stem for path in CONF.glob("*.yaml"))
    names = chosen.split() or known
    for name in names:
        if name not in known:
            raise ExperimentError(f"FAMILIES has {name!r}, and must name some of {', '.join(known)}")
    return names


def experiment_of(name: str) -> str:
    """The name of a family's DVC experiment."""
    return f"family-{name}"


def take_package(name: str) -> None:
    """Join a family's outputs to a package, reports/families/models/NAME, and keep the history of its training.

    Raises:
        ExperimentError, PackageError, OSError: when an output is missing or does not fit the others.
    """
    parts = REPORT / "parts" / name
    for output in OUTPUTS:
        take_output(experiment_of(name), output, parts / output)
    trained, density, calibration = (parts / output for output in OUTPUTS[:3])
    card = f"# {name}\n\nOne of the families that `make families` compares.\n"
    assemble(REPORT / "models" / name, trained, density, calibration, card)


def helps(models: Sequence[Colorizer]) -> dict[str, Any]:
    """The request's helps that some of the models can take."""
    return {
        "hints": HINTS if any(model.abilities.hints for model in models) else 0,
        "references": any(model.abilities.exemplar for model in models),
    }


def describe(name: str, photos: PhotoSet) -> dict[str, Any]:
    """A family's weights, time and bands.

    Args:
        name: of the family, whose package and history are there.
        photos: whose colours are timed, on this machine.
    """
    colorizer = Colorizer.load(REPORT / "models" / name)
    with (REPORT / "parts" / name / "reports/train/history.csv").open(encoding="utf-8", newline="") as file:
        *_, last = csv.DictReader(file)
    network, with_hints = colorizer.package.generator, colorizer.package.hints_calibration
    hinted = dict.fromkeys(_bands_of(colorizer.calibration)) if with_hints is None else _bands_of(with_hints)
    return {
        "family": name,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "epochs": int(last["epoch"]),
        "seconds": float(last["seconds"]),
        "milliseconds": round(1000 * seconds_a_photo(colorizer, photos), 1),
        "samples": colorizer.abilities.samples,
        **_bands_of(colorizer.calibration),
        **{f"{key}_hints": value for key, value in hinted.items()},
    }


def _bands_of(calibration: Calibration) -> dict[str, Any]:
    """Coverage, p of the exact test, and width of each mode at `ALPHA`, as the certificate has them."""
    return {
        f"{key}_{row['mode']}": row[key]
        for row in calibration.certificate["curve"]
        if row["alpha"] == ALPHA
        for key in ("coverage", "p_value", "width")
    }


def seconds_a_photo(colorizer: Colorizer, photos: PhotoSet) -> float:
    """The median time that a photo's colours take, after one that compiles the network."""
    greys = [GreyPhoto(photo.grey) for photo in photos.photos[: _TIMED + 1]]
    seconds = []
    for grey in greys:
        start = time.perf_counter()
        colorizer.colours.predict(grey)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:] or seconds)


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows of equal keys; values as JSON has them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: cell(value) if isinstance(value, str) else json.dumps(value) for key, value in row.items()}
        for row in rows
    )
    return text.getvalue()


if __name__ == "__main__":
    main()

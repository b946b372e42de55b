"""Stage register: the model package, its place in the registry, and who is champion.

Writes models/generator/ (the package) and reports/register/: registration.json, and decision.txt for people. The
registry is MLflow's. The trainings of released packages are restored beside it, so that their curves can be compared.

A registration that was cut off is completed when the stage runs again: what is there already stays as it is.
"""

import csv
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from huebands import params
from huebands.colorize.colorizer import Colorizer
from huebands.data import shards
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.package.documents.card import write_card
from huebands.package.lineage import dataset, flat, git_commit
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import CERTIFICATE, PackageError, check_newest
from huebands.package.write import assemble
from huebands.params import Params
from huebands.promotion import gate
from huebands.promotion.trial import ColourScorer
from huebands.registry import tracking
from huebands.registry.tracking import RegisteredPackage, TrackingError

PREPARED = Path("data/prepared")
TRAINED, GENERATOR = Path("models/trained"), Path("models/generator")
DENSITY, CALIBRATION = Path("models/density"), Path("models/calibration")
TRAIN, EVALUATE, CALIBRATE = Path("reports/train"), Path("reports/evaluate"), Path("reports/calibrate")
FIT = Path("reports/density")
RELEASED, REPORT = Path("reports/release"), Path("reports/register")
HISTORY = "history.csv"  # of a training's or a fit's report


def main() -> None:
    """Register what the stages before have made."""
    try:
        register(params.load())
    except (
        params.ParamsError, PackageError, TrackingError, shards.ShardError, FetchError, FileNotFoundError,
    ) as error:  # fmt: skip
        raise SystemExit(f"register: {error}") from error


def register(settings: Params) -> None:
    """Write the package, register it once, and let the gate choose the champion."""
    package = write_package()
    run_id, origin = training_run(settings.register.experiment, package.weights_sha256)
    model_name, alpha = settings.register.model_name, settings.calibrate.report_alpha
    champion = gate.find_champion(model_name, alpha)
    photos = shards.LabShard(PREPARED, "val")
    challenger = Colorizer(package, str(GENERATOR))
    trial = gate.run_trial(challenger, champion, photos, ColourScorer())
    final = figures(package, alpha) | {f"val.{key}": value for key, value in trial.means(gate.CHALLENGER).items()}
    registration = tracking.register_package(
        GENERATOR, package.package_sha256, model_name, run_id, metrics=final, tags=lineage()
    )
    fit = density_fit(settings, challenger.density.sha256)
    tracking.log_stages(run_id, [fit, *stages(settings, package.package_sha256)], final)
    tracking.set_alias(model_name, gate.CHALLENGER, registration.version)
    version = RegisteredPackage(model_name, registration.version, package.package_sha256)
    decision = gate.decide(trial, champion, version, alpha)
    lines = [
        f"package {package.package_sha256[:12]} in {GENERATOR}",
        f"run {run_id} {origin}",
        f"models:/{model_name}/{registration.version}"
        f" ({'new' if registration.created else 'registered before'}) is the challenger",
        *decision.lines,
        str(decision),
    ]
    for record in sorted(RELEASED.glob("*/run.json")):
        weights = read_json(record)["weights_sha256"]
        run_id, _ = training_run(settings.register.experiment, weights, record.parent)
        lines.append(f"run {run_id} trained the released {record.parent.name}")
    for line in lines:
        print(f"register: {line}")
    REPORT.mkdir(parents=True, exist_ok=True)
    atomic.write_text(REPORT / "decision.txt", "\n".join(lines) + "\n")
    content = {"model_name": model_name, "package_sha256": package.package_sha256}
    atomic.write_text(REPORT / "registration.json", json.dumps(content, indent=2) + "\n")


def write_package() -> ModelPackage:
    """Join weights, calibration and card in models/generator; the same inputs give the same bytes."""
    manifest, config = shards.read_manifest(PREPARED), read_package(TRAINED).config
    check_newest(TRAINED, config)
    card = write_card(
        config,
        read_json(EVALUATE / "metrics.json"),
        read_json(CALIBRATION / "calibration.json"),
        manifest[["split", "source", "licence"]].to_dict("records"),
    )
    return assemble(GENERATOR, TRAINED, DENSITY, CALIBRATION, card)


def training_run(experiment: str, weights_sha256: str, report: Path = TRAIN) -> tuple[str, str]:
    """Find the run that trained the weights, or restore it from a report: its id, and words on its origin."""
    run_id = tracking.find_run(experiment, weights_sha256)
    if run_id is not None:
        return run_id, "trained it"
    record = read_json(report / "run.json")
    if record["weights_sha256"] != weights_sha256:
        raise PackageError(
            f"{report / 'run.json'}: weights_sha256 (={record['weights_sha256']!r}) must be that of {TRAINED},"
            f" {weights_sha256!r}; take both from one training, or train with `dvc repro --force train`"
        )
    history = read_history(report)
    pictures = sorted((report / "pictures").glob("epoch-*.png"))
    run_id = tracking.restore_run(experiment, record, history, pictures)
    return run_id, f"trained it, restored from {report}: {len(history)} epochs, {len(pictures)} pictures"


def figures(package: ModelPackage, alpha: float) -> dict[str, float]:
    """The run's final figures: the model's metrics on the test split, coverage and width at the report's alpha.

    Those of the bands that keep the promise in each group of pixels as well end in ".grouped".
    """
    evaluation = read_json(EVALUATE / "metrics.json")
    result = {
        f"test.{key}": float(of["model"])
        for key, of in evaluation.items()
        if isinstance(of, dict) and of["model"] is not None
    }
    certificate = package.calibration.certificate if package.calibration else {}
    for part, ending in (("curve", ""), ("grouped", ".grouped")):
        for row in certificate.get(part, []):
            if abs(row["alpha"] - alpha) < 1e-9:
                result |= {f"test.{key}.{row['mode']}{ending}": float(row[key]) for key in ("coverage", "width")}
    return result


def stages(settings: Params, package_sha256: str) -> list[tracking.FinishedRun]:
    """What evaluation and calibration found, as runs of their own."""
    data_sha256 = shards.data_sha256(PREPARED)
    used = {
        "evaluate": {"test": "evaluation"},
        "calibrate": {"val": "validation", "calibration": "calibration", "test": "evaluation"},
    }
    certificate = [CALIBRATION / name for name in (CERTIFICATE, "calibration.json")]
    found = []
    for stage, folder, knobs, further in (
        ("evaluate", EVALUATE, settings.evaluate, []),
        ("calibrate", CALIBRATE, settings.calibrate, certificate),
    ):
        metrics = flat(read_json(folder / "metrics.json"))
        found.append(
            tracking.FinishedRun(
                name=stage,
                params=asdict(knobs),
                metrics={key: float(value) for key, value in metrics.items() if isinstance(value, int | float)},
                tags={"git_commit": git_commit(), "data_sha256": data_sha256, "package_sha256": package_sha256},
                datasets=[dataset(settings.data, data_sha256, *split) for split in used[stage].items()],
                reports=[*(path for path in sorted(folder.iterdir()) if path.is_file()), *further],
            )
        )
    return found


def density_fit(settings: Params, distribution_sha256: str) -> tracking.FinishedRun:
    """The fit of the colour distribution, from its report and from the lineage that it keeps itself."""
    description, history = DENSITY / "distribution.json", read_history(FIT)
    fitted = read_json(description)["lineage"]
    used = (("train", "training"), ("val", "validation"))
    return tracking.FinishedRun(
        name="fit-density",
        params=flat(fitted["params"]),
        metrics={"best_val": min(row["val"] for row in history)},
        tags={
            "git_commit": fitted["git_commit"],
            "data_sha256": fitted["data_sha256"],
            "distribution_sha256": distribution_sha256,
        },
        identity="distribution_sha256",
        datasets=[dataset(settings.data, fitted["data_sha256"], *split) for split in used],
        reports=[FIT / HISTORY, description],
        history=history,
    )


def lineage() -> dict[str, Any]:
    """What this registration was made from."""
    commit, _, changes = git_commit().partition("+")
    lock = Path("dvc.lock")
    return {
        "register.git_commit": commit,
        "register.git_dirty": bool(changes),
        "register.dvc_lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "none",
        "register.data_sha256": shards.data_sha256(PREPARED),
    }


def read_history(report: Path) -> list[dict[str, float]]:
    """Read the curves of a training or a fit, one row an epoch."""
    path = report / HISTORY
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found; `dvc repro` makes it")
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def read_json(path: Path) -> dict[str, Any]:
    """Read a report of an earlier stage."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found; `dvc repro` makes it")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


if __name__ == "__main__":
    main()

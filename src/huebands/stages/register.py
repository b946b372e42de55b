"""Stage register: the model package, its version in the registry, and the choice of the champion.

Writes models/generator/ (the package), its card again as reports/MODEL_CARD.md, and reports/register/:
registration.json, and decision.txt for people. The trainings of released packages are restored in the registry, so that
their curves can be compared. A registration that was cut off is completed when the stage runs again.
"""

import json
from pathlib import Path

from huebands import params
from huebands.colorize.colorizer import Colorizer
from huebands.data import shards
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.package.documents.card import write_card
from huebands.package.lineage import registration_tags
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import CALIBRATION, PackageError, check_newest
from huebands.package.write import assemble
from huebands.promotion import gate
from huebands.promotion.trial import ColourScorer
from huebands.registry.connection import TrackingError
from huebands.registry.models import register_package, set_alias
from huebands.registry.reports import METRICS, StageFolders, find_hints_report, read_report
from huebands.registry.restoration import find_or_restore_run, restore_released_runs
from huebands.registry.stage_runs import final_figures, log_stages, runs_of_stages

PREPARED, TRAINED, GENERATOR = Path("data/prepared"), Path("models/trained"), Path("models/generator")
TRAIN, RELEASED, REPORT = Path("reports/train"), Path("reports/release"), Path("reports/register")
CARD = Path("reports/MODEL_CARD.md")
STAGES = StageFolders()


def main() -> None:
    """Register the package that the stages before have made."""
    try:
        register(params.load())
    except (params.ParamsError, PackageError, TrackingError, shards.ShardError, FetchError, OSError) as error:
        raise SystemExit(f"register: {error}") from error


def register(settings: params.Params) -> None:
    """Write the package, register it once, and let the gate choose the champion."""
    package, data_sha256 = write_package(), shards.data_sha256(PREPARED)
    name, alpha = settings.register.model_name, settings.calibrate.report_alpha
    run_id, origin = find_or_restore_run(settings.register.experiment, package.weights_sha256, TRAIN)
    champion, challenger = gate.find_champion(name, alpha), Colorizer(package, str(GENERATOR))
    trial = gate.run_trial(challenger, champion, shards.LabShard(PREPARED, "val"), ColourScorer())
    evaluation, certificate = read_report(STAGES.evaluate / METRICS), challenger.calibration.certificate
    figures = final_figures(evaluation, certificate, trial.means(gate.CHALLENGER), alpha)
    sha256 = package.package_sha256
    runs = runs_of_stages(settings, STAGES, data_sha256, sha256, challenger.density.sha256)
    registration = register_package(GENERATOR, sha256, name, run_id, figures, registration_tags(data_sha256))
    log_stages(run_id, runs, figures, registration.model_id)
    set_alias(name, gate.CHALLENGER, registration.version.version)
    decision = gate.decide(trial, champion, registration.version, alpha)
    lines = [f"package {sha256[:12]} in {GENERATOR}", f"run {run_id} {origin}", f"{registration} is the challenger"]
    lines += [*decision.lines, str(decision), *restore_released_runs(settings.register.experiment, RELEASED)]
    print(*(f"register: {line}" for line in lines), sep="\n")
    REPORT.mkdir(parents=True, exist_ok=True)
    atomic.write_text(REPORT / "decision.txt", "\n".join(lines) + "\n")
    record = {"model_name": name, "package_sha256": sha256}
    atomic.write_text(REPORT / "registration.json", json.dumps(record, indent=2) + "\n")


def write_package() -> ModelPackage:
    """Join generator, density, calibration and card in models/generator; the same inputs give the same bytes."""
    photos = shards.read_manifest(PREPARED)[["split", "source", "licence"]].to_dict("records")
    config, calibration = read_package(TRAINED).config, read_report(STAGES.calibration / CALIBRATION[1])
    check_newest(TRAINED, config)
    card = write_card(config, read_report(STAGES.evaluate / METRICS), calibration, photos, find_hints_report(STAGES))
    atomic.write_text(CARD, card)
    return assemble(GENERATOR, TRAINED, STAGES.density, STAGES.calibration, card)


if __name__ == "__main__":
    main()

"""Stage register: the model package, and its version in the registry, which becomes the challenger.

`huebands promote` judges the challenger; the stage does it too where `promote.automatic` says so. Writes the package
models/generator/, its card as reports/MODEL_CARD.md, and in reports/register registration.json, .txt to be read, and
version.txt, its number. The trainings of released packages are restored. What was cut off is completed by the next run.
"""

import json
from pathlib import Path

from huebands import params
from huebands.colorize.colorizer import Colorizer
from huebands.data import shards
from huebands.files import atomic
from huebands.package.documents.card import write_card
from huebands.package.lineage import registration_tags
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import CALIBRATION, check_newest
from huebands.package.write import assemble
from huebands.promotion.promote import ERRORS, promote
from huebands.promotion.split_photos import SplitPhotos
from huebands.promotion.trial import ColourScorer, Trial
from huebands.registry.champion import CHALLENGER
from huebands.registry.connection import waiting
from huebands.registry.models import register_package, set_alias
from huebands.registry.reports import METRICS, StageFolders, find_hints_report, read_report
from huebands.registry.restoration import find_or_restore_run, restore_released_runs
from huebands.registry.stage_runs import final_figures, log_stages, runs_of_stages
from huebands.registry.training_photos import log_photos

PREPARED, TRAINED, GENERATOR = Path("data/prepared"), Path("models/trained"), Path("models/generator")
TRAIN, RELEASED, REPORT = Path("reports/train"), Path("reports/release"), Path("reports/register")
CARD, STAGES = Path("reports/MODEL_CARD.md"), StageFolders()


def main() -> None:
    """Register the package that the stages before have made."""
    try:
        register(params.load())
    except (params.ParamsError, *ERRORS) as error:
        raise SystemExit(f"register: {error}") from error


@waiting("`dvc repro` completes the registration")
def register(settings: params.Params) -> None:
    """Write the package, register it once as challenger, and judge it where the parameters say so."""
    package, data_sha256 = write_package(), shards.data_sha256(PREPARED)
    sha256, name, alpha = package.package_sha256, settings.register.model_name, settings.calibrate.report_alpha
    run_id, origin = find_or_restore_run(settings.register.experiment, package.weights_sha256, TRAIN)
    model, scorer = Colorizer(package, str(GENERATOR)), ColourScorer()
    means = Trial.run({CHALLENGER: model}, SplitPhotos.read(PREPARED, "val"), scorer).means(CHALLENGER)
    figures = final_figures(read_report(STAGES.evaluate / METRICS), model.calibration.certificate, means, alpha)
    runs = runs_of_stages(settings, STAGES, data_sha256, sha256, model.density.sha256)
    registration = register_package(GENERATOR, sha256, name, run_id, figures, registration_tags(data_sha256))
    kept = log_photos(registration.version, PREPARED, data_sha256, package)
    log_stages(run_id, runs, figures, registration.model_id)
    set_alias(name, CHALLENGER, number := registration.version.version)
    lines = [f"package {sha256[:12]} in {GENERATOR}", f"run {run_id} {origin}", f"{registration} is the challenger"]
    lines += promote(registration.version, settings, scorer).report() if settings.promote.automatic else []
    lines += [kept, *restore_released_runs(settings.register.experiment, RELEASED)]
    print(*(f"register: {line}" for line in lines), sep="\n")
    REPORT.mkdir(parents=True, exist_ok=True)
    record = json.dumps({"model_name": name, "package_sha256": sha256}, indent=2)
    for file, text in (("registration.txt", "\n".join(lines)), ("version.txt", number), ("registration.json", record)):
        atomic.write_text(REPORT / file, f"{text}\n")


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

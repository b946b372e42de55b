"""The ablation: what each part of the training does (`make ablation`).

conf/ablation.yaml lists the trainings. Each is a DVC experiment up to the stage train, in a copy of the tree and in the
same MLflow store. Their generators and data are copied to reports/ablation/, and compared on the validation split.
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from huebands.comparison.command import Request, run
from huebands.comparison.experiments import ExperimentError, check_data, run_missing, take_output
from huebands.comparison.own_photos import read_prepared

CONF, REPORT = Path("conf/ablation.yaml"), Path("reports/ablation")
TRAINED, PREPARED = "models/trained", "data/prepared"
BASE = ("experiment=ablation",)


def main() -> None:
    """Train the variants that are missing, and compare all."""
    try:
        variants: dict[str, list[str]] = yaml.safe_load(CONF.read_text(encoding="utf-8"))
        run_missing({f"ablation-{name}": [*BASE, *overrides] for name, overrides in variants.items()}, ["train"])
        for name in variants:
            take_output(f"ablation-{name}", TRAINED, REPORT / "models" / name)
        data = REPORT / "prepared"  # the dataset of the working tree may be another
        take_output(f"ablation-{next(iter(variants))}", PREPARED, data)
        judge([REPORT / "models" / name for name in variants], data)
    except (ExperimentError, ValueError, OSError) as error:
        raise SystemExit(f"ablation: {error}") from error


def judge(generators: Sequence[Path], data: Path) -> None:
    """Compare generators on the validation split of the data that trained them.

    Args:
        generators: packages' folders.
        data: a prepared dataset.

    Raises:
        ExperimentError: when a generator was trained on other data.
        ValueError, OSError: when a package, the data or the report cannot be read or written.
    """
    check_data({f"ablation-{folder.name}": folder for folder in generators}, data)
    request = Request(
        candidates=["grey", "lightness", *(f"{folder.name}={folder}" for folder in generators)],
        commands=[],
        timeout=0,
        train=data,
        output=REPORT,
        experiment="huebands-ablation",
        overwrite=True,
    )
    run(request, read_prepared(data, "val"), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()

"""validate: the prepared dataset must be good before anything is trained on it."""

import json
import shutil
from pathlib import Path

from huebands import params
from huebands.data import validation
from huebands.data.shards import ShardError

PREPARED, REPORT = Path("data/prepared"), Path("reports/validate")


def main() -> None:
    """Check data/prepared, write reports/validate; exit code 1 and the reasons when it is not good."""
    try:
        settings = params.load().validate
        # Pages of an earlier run would stay in the index.
        shutil.rmtree(REPORT / "docs", ignore_errors=True)
        report = validation.validate(PREPARED, settings, docs=REPORT / "docs")
    except (params.ParamsError, ShardError) as error:
        raise SystemExit(f"validate: {error}") from error
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "summary.json").write_text(json.dumps(report.summary, indent=2) + "\n", encoding="utf-8")
    evaluated = sum(suite["evaluated"] for suite in report.summary["suites"].values())
    if report.failures:
        lines = [f"validate: {len(report.failures)} of {evaluated} expectations are not met"]
        raise SystemExit("\n".join([*lines, *(f"  {failure}" for failure in report.failures)]))
    print(f"validate: {evaluated} expectations met; pages in {REPORT / 'docs' / 'index.html'}")


if __name__ == "__main__":
    main()

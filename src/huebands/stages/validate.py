"""Stage validate: the prepared dataset must be good before anything is trained on it."""

import json
from pathlib import Path

from huebands import params
from huebands.data import validation
from huebands.data.shards import ShardError
from huebands.files import atomic

PREPARED, REPORT = Path("data/prepared"), Path("reports/validate")


def main() -> None:
    """Check data/prepared, write reports/validate; exit code 1 and the reasons when it is not good."""
    try:
        settings = params.load().validate
        # Replaced as a whole: pages of an earlier run would stay in the index.
        with atomic.replace_folder(REPORT / "docs") as docs:
            report = validation.validate(PREPARED, settings, docs=docs)
    except (params.ParamsError, ShardError) as error:
        raise SystemExit(f"validate: {error}") from error
    atomic.write_text(REPORT / "summary.json", json.dumps(report.summary, indent=2) + "\n")
    evaluated = sum(suite["evaluated"] for suite in report.summary["suites"].values())
    if report.failures:
        lines = [f"validate: {len(report.failures)} of {evaluated} expectations are not met"]
        raise SystemExit("\n".join([*lines, *(f"  {failure}" for failure in report.failures)]))
    print(f"validate: {evaluated} expectations met; pages in {REPORT / 'docs' / 'index.html'}")


if __name__ == "__main__":
    main()

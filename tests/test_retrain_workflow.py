"""The jobs and conditions of the workflow that retrains: a stub of make answers in place of the pipeline."""

import subprocess
from pathlib import Path

import pytest

from workflow import Job, Runner, read_workflow, without_variables_of_tools

ROOT = Path(__file__).parents[1]
PART = read_workflow(ROOT / ".github/workflows/retrain-part.yml")
RETRAIN = read_workflow(ROOT / ".github/workflows/retrain.yml")
AFTER_TRAINING = ["retrain-branch", "retrain-report", "retrain-bento"]
MAKEFILE = """\
%:
	@echo "$@$(if $(filter yes,$(FRESH)), fresh)" >> calls
	@./answer $@
"""
# Says that the pipeline has finished in the part of this number.
ANSWER = """\
#!/usr/bin/env bash
set -eu
part=${PWD##*-}
[[ " $FAILS " != *" $1 "* ]]
case $1 in
  retrain-plan) echo "changed=$CHANGED" >> "$GITHUB_OUTPUT" ;;
  retrain-repro) echo "finished=$([ "$part" -ge "$PARTS" ] && echo true || echo false)" >> "$GITHUB_OUTPUT" ;;
  retrain-save) echo "state of $part" > build/unfinished.tar ;;
  retrain-restore) cat build/unfinished.tar >> calls ;;
  retrain-bento) touch build/huebands.bento ;;
esac
"""


class Started:
    """Starts the workflow, and keeps the caches between the starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = 0
        self.calls: list[list[str]] = []  # the targets of each job

    def __call__(
        self,
        *,
        changed: bool = True,
        parts: int = 1,
        fails: str = "",
        force: bool = False,
        ref: str = "main",
        run: int = 1,
        server: str = "",
    ) -> dict[str, Job]:
        """Start the workflow.

        Args:
            changed: whether a stage has to run.
            parts: in which of them the pipeline comes to its end.
            fails: targets that fail.
            force: whether everything is trained anew.
            ref: the branch.
            run: number of the run; a second start is a further attempt.
            server: address of the registry.
        """
        self.starts += 1
        self.calls = []
        answers = {"CHANGED": str(changed).lower(), "PARTS": str(parts), "FAILS": fails}
        values = {
            "github.sha": "abc",
            "github.ref_name": ref,
            "github.run_id": str(run),
            "github.run_attempt": str(self.starts),
            "github.server_url": "https://example.org",
            "github.repository": "huebands/huebands",
            "github.token": "token",
            "vars.MLFLOW_TRACKING_URI": server,
        }
        place = {"GITHUB_SERVER_URL": "https://example.org", "GITHUB_REPOSITORY": "huebands/huebands"}
        runner = Runner(self.folder, {**without_variables_of_tools(), **place, **answers}, values)
        clones = list[Path]()

        def clone() -> Path:
            made = self.folder / f"start-{self.starts}-{len(clones) + 1}"
            for folder in ("build", "models/generator", "data/cache", ".dvc/cache"):
                (made / folder).mkdir(parents=True)
            (made / "Makefile").write_text(MAKEFILE)
            (made / "answer").write_text(ANSWER)
            (made / "answer").chmod(0o755)
            (made / "calls").touch()
            subprocess.run(["git", "init", "--quiet", str(made)], check=True)
            clones.append(made)
            return made

        jobs = runner.run_workflow(RETRAIN, PART, {"force": force}, clone)
        self.calls = [(made / "calls").read_text().splitlines() for made in clones]
        return jobs


@pytest.fixture
def start(tmp_path: Path) -> Started:
    return Started(tmp_path)


def results(jobs: dict[str, Job]) -> list[str]:
    return [job.result for job in jobs.values()]


def test_a_pipeline_that_ends_in_its_first_part(start: Started) -> None:
    jobs = start()
    assert results(jobs) == ["success", "skipped", "skipped", "skipped"]
    assert start.calls == [["retrain-plan", "retrain-pull", "retrain-repro", "retrain-promote", *AFTER_TRAINING]]
    assert set(jobs["first"].artifacts) == {"bento", "registry"}


def test_nothing_runs_where_no_stage_has_to(start: Started) -> None:
    jobs = start(changed=False)
    assert start.calls == [["retrain-plan"]] and "No stage has to run again." in jobs["first"].summary
    jobs = start(changed=False, server="https://mlflow.example.org")
    assert "retrain-promote" in start.calls[0], "a model may still have to be registered there"
    assert "No stage has to run again." not in jobs["first"].summary


@pytest.mark.parametrize("force", [False, True])
def test_the_next_part_goes_on_with_the_state_of_the_one_before(start: Started, force: bool) -> None:
    jobs = start(parts=3, force=force, changed=not force)
    assert results(jobs) == ["success", "success", "success", "skipped"]
    fresh = "retrain-repro fresh" if force else "retrain-repro"
    assert start.calls[0] == ["retrain-plan", "retrain-pull", fresh, "retrain-save"]
    assert start.calls[1][1:] == ["retrain-restore", "state of 1", "retrain-pull", "retrain-repro", "retrain-save"]
    assert start.calls[2][1:3] == ["retrain-restore", "state of 2"]
    assert start.calls[2][-4:] == ["retrain-promote", *AFTER_TRAINING]


def test_a_training_longer_than_three_parts_fails_and_a_later_run_goes_on(start: Started) -> None:
    jobs = start(parts=4)
    assert results(jobs) == ["success", "success", "success", "failure"]
    assert "::error::" in jobs["unfinished"].log
    start(run=2)
    assert start.calls[0][1:3] == ["retrain-restore", "state of 3"]


def test_a_forced_run_begins_anew_and_goes_on_with_its_own_state_alone(start: Started) -> None:
    start(parts=4)
    start(run=2, force=True, fails="retrain-promote")
    assert start.calls[0][1:3] == ["retrain-pull", "retrain-repro fresh"]
    start(run=2, force=True)
    assert start.calls[0][1:3] == ["retrain-restore", "state of 1"] and "retrain-repro" in start.calls[0]


def test_a_part_without_the_state_of_the_one_before_fails(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runner, "_find", lambda *keys: None)  # the cache has dropped it
    jobs = start(parts=2)
    assert results(jobs) == ["success", "failure", "skipped", "skipped"]
    assert (
        start.calls[1] == ["retrain-plan"] and "The state of the part before is not in the cache." in jobs["second"].log
    )


@pytest.mark.parametrize("fails", ["retrain-repro", "retrain-promote", "retrain-branch", "retrain-bento"])
def test_what_fails_after_the_training_is_done_again_without_it(start: Started, fails: str) -> None:
    jobs = start(fails=fails)
    assert results(jobs) == ["failure", "skipped", "skipped", "skipped"]
    assert start.calls[0][-1] == "retrain-save"
    if fails != "retrain-repro":
        assert [call for call in start.calls[0] if call in AFTER_TRAINING] == AFTER_TRAINING, "the rest is kept"
    start()
    assert start.calls[0][1:5] == ["retrain-restore", "state of 1", "retrain-pull", "retrain-repro"]


def test_a_branch_other_than_main_does_not_promote(start: Started) -> None:
    start(ref="brighter")
    assert start.calls[0][-4:] == ["retrain-repro", *AFTER_TRAINING]

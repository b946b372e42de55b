"""DVC experiments by name: those that are missing run in one copy of the tree, and their outputs are taken."""

import subprocess
import sys
from pathlib import Path

import pytest

from huebands.comparison import experiments
from huebands.comparison.ablation import PREPARED, TRAINED
from huebands.registry import local_store

PIPELINE = """
stages:
  density:
    cmd: echo fitted >> ../../../../fits; cat tracked > density
    params: [data]
    deps: [tracked]
    outs: [density: {cache: false}]
  train:
    cmd: test ${model} != bad && echo ${model} > trained
    deps: [density]
    params: [model]
    outs: [trained: {cache: false}]
  register:
    cmd: "false"
    deps: [trained]
"""


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(message: str) -> str:
    run("git", "add", ".")
    run("git", "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "--allow-empty", "-m", message)
    return run("git", "rev-parse", "HEAD")


def show(experiment: str, file: str) -> str:
    """A file of an experiment of HEAD."""
    head = run("git", "rev-parse", "HEAD")
    return run("git", "show", f"refs/exps/{head[:2]}/{head[2:]}/{experiment}:{file}")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of git and DVC, without a commit, as the current folder."""
    monkeypatch.chdir(tmp_path)
    run("git", "init")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    return tmp_path


@pytest.fixture
def pipeline(project: Path) -> Path:
    """A pipeline of three stages, of which the last fails; its density is in git."""
    (project / "dvc.yaml").write_text(PIPELINE)
    (project / "params.yaml").write_text("data: paintings\nmodel: vae\n")
    (project / "tracked").write_text("committed\n")
    (project / ".gitignore").write_text("/fits\n")
    commit("baseline")
    return project


def test_what_missing_experiments_have_in_common_runs_once(pipeline: Path) -> None:
    (pipeline / "tracked").write_text("changed\n")
    before = run("git", "status", "--porcelain")
    wanted = {name: ["data=photos", f"model={name}"] for name in ("vae", "hints")}
    experiments.run_missing(wanted, ["train"])
    assert (pipeline / "fits").read_text() == "fitted\n"
    for name in wanted:
        assert show(name, "trained") == name
        assert show(name, "density") == "changed", "uncommitted changes count"
        assert show(name, "params.yaml") == f"data: photos\nmodel: {name}"
    assert run("git", "status", "--porcelain") == before, "the workspace stays as it was"
    assert not experiments.COPY.exists()
    assert len(run("git", "worktree", "list").splitlines()) == 1
    assert local_store.home(experiments.COPY) == pipeline.resolve(), "their runs are in the workspace's store"
    experiments.run_missing(wanted, ["train"])
    assert (pipeline / "fits").read_text() == "fitted\n"


def test_a_failed_experiment_is_named_after_the_others_have_run(pipeline: Path) -> None:
    experiments.COPY.mkdir(parents=True)
    (experiments.COPY / "left").write_text("by a killed run")
    with pytest.raises(experiments.ExperimentError, match=r"^bad failed, see the output above; the others are kept$"):
        experiments.run_missing({"bad": ["model=bad"], "good": ["model=good"]}, ["train"])
    assert show("good", "trained") == "good"
    assert not experiments.COPY.exists()


def test_an_output_is_taken_out_of_its_experiment(project: Path) -> None:
    trained = project / TRAINED
    trained.mkdir(parents=True)
    (trained / "generator.safetensors").write_bytes(b"weights\0")
    run("git", "update-ref", "refs/exps/ab/" + "c" * 38 + "/ablation-full", commit("trained"))
    out = project / "out"
    (out / "full").mkdir(parents=True)
    (out / "full/stale").touch()
    experiments.take_output("ablation-full", TRAINED, out / "full")
    assert [path.name for path in (out / "full").iterdir()] == ["generator.safetensors"]
    assert (out / "full/generator.safetensors").read_bytes() == b"weights\0"
    with pytest.raises(
        experiments.ExperimentError, match=r"^ablation-other: models/trained cannot be taken .*dvc exp remove"
    ):
        experiments.take_output("ablation-other", TRAINED, out / "other")
    with pytest.raises(experiments.ExperimentError, match=r"^ablation-full: data/prepared cannot be taken"):
        experiments.take_output("ablation-full", PREPARED, out / "full")
    assert [str(path.relative_to(out)) for path in out.rglob("*")] == ["full", "full/generator.safetensors"], (
        "the earlier output stays, and nothing half made lies about"
    )


def test_an_experiment_of_an_earlier_commit_counts_and_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline, trained = commit("baseline"), commit("trained")
    run("git", "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/family-vae", trained)
    commit("later")
    experiments.run_missing({"family-vae": ["model=vae"]}, ["train"])  # no pipeline is here that could run
    assert capsys.readouterr().out == "family-vae has run; `dvc exp remove family-vae` lets it run again\n"
    with pytest.raises(experiments.ExperimentError, match=r"^family-hints failed"):
        experiments.run_missing({"family-hints": ["model=hints"]}, ["train"])

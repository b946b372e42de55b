"""A rehearsal of the retraining: photos are added, removed and spoiled, and each step of the workflow runs in a clone.

`make rehearse` runs it alone.
"""

import re
import subprocess
import tarfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pathspec
import psutil
import pytest
from mlflow import MlflowClient

from huebands.data.shards import data_sha256
from small_line import PHOTOS, ROOT, SMALL, Line, copy_tree, draw_copies, draw_photos
from workflow import Job, Runner, give_environment, read_workflow, without_variables_of_tools

# The second is of MLflow's own use of SQLAlchemy.
pytestmark = [pytest.mark.pipeline, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]

PART = read_workflow(ROOT / ".github/workflows/retrain-part.yml")
RETRAIN = read_workflow(ROOT / ".github/workflows/retrain.yml")
VERDICT = "is not champion: "  # ten epochs on seventy photos do not beat grey
NOBODY = "http://127.0.0.1:9"  # no server answers there
MORE, COPIES = 5, 5  # photos that are added: new scenes, and edited copies
PAGE = "https://example.org/huebands/huebands"  # where the project would be
SPLITS = Path("data/splits/folder.csv")


class Project:
    """A developer's clone, the repository it is pushed to, and the machine that retrains."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin = folder / "origin.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin)], check=True)
        self.developer = copy_tree(folder / "developer", outputs=True)
        give_environment(self.developer.folder)
        draw_photos(self.developer.folder / "data/photos", range(PHOTOS))
        self.run("dvc", "remote", "add", "--default", "storage", str(folder / "storage"))
        self.run("git", "remote", "add", "origin", f"file://{self.origin}")
        self.compose()
        self.run("dvc", "add", "data/photos")
        self.run("dvc", "repro", "prepare")
        self.push()
        self.first_splits = read_splits(self.developer.folder)
        self.registry = f"sqlite:///{folder / 'registry' / 'mlflow.db'}"
        (folder / "registry").mkdir()
        self.clones: list[Line] = []

    def run(self, *command: str) -> str:
        return self.developer.run(*command)

    def compose(self) -> None:
        choices = " ".join(f"'{choice}'" for choice in SMALL)
        self.run("make", "params", f"CHOICES={choices}")

    def push(self) -> list[str]:
        """Commit everything and push it to main, and DVC's files to its remote; gives the changed files."""
        self.run("dvc", "push", "data/photos.dvc")
        self.developer.commit()
        self.run("git", "push", "--quiet", "origin", "HEAD:main")
        return self.run("git", "diff", "--name-only", "HEAD~1", "HEAD").split() if self.commits() > 1 else []

    def merge(self, job: Job) -> list[str]:
        """Merge the branch of a retraining into main and push it; gives the changed files."""
        before = self.main()
        self.run("git", "fetch", "--quiet", "origin", job.steps["branch"].outputs["branch"])
        self.run("git", "merge", "--quiet", "--no-edit", "FETCH_HEAD")
        self.run("git", "push", "--quiet", "origin", "HEAD:main")
        return self.run("git", "diff", "--name-only", before, "HEAD").split()

    def commits(self) -> int:
        return int(self.run("git", "rev-list", "--count", "HEAD"))

    def main(self) -> str:
        return self.run("git", "ls-remote", f"file://{self.origin}", "refs/heads/main").split()[0]

    def retrain(self, *, registry: str, attempt: int = 1, stop_at: str = "") -> dict[str, Job]:
        """Run the workflow on the newest commit of main; the clones of its jobs are appended to `clones`.

        Args:
            registry: address of MLflow's server; "": each job has a registry of its own.
            attempt: how often the same run was started.
            stop_at: file whose coming ends the time of the first part.
        """
        # The address of the project leads to the repository here.
        git = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{self.origin}.insteadOf",
            "GIT_CONFIG_VALUE_0": PAGE.replace("https://", "https://x-access-token:token@"),
        }
        place = {"GITHUB_SERVER_URL": "https://example.org", "GITHUB_REPOSITORY": "huebands/huebands"}
        environment = {
            **without_variables_of_tools(),
            **git,
            **place,
            "OMP_NUM_THREADS": "1",
            "BENTOML_HOME": str(self.folder / "bentos"),
            # A server that does not answer is given up at once.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
        }
        runner = Runner(
            self.folder,
            environment,
            {
                "github.sha": self.main(),
                "github.ref_name": "main",
                "github.run_id": str(self.commits()),
                "github.run_attempt": str(attempt),
                "github.server_url": place["GITHUB_SERVER_URL"],
                "github.repository": place["GITHUB_REPOSITORY"],
                "github.token": "token",
                "vars.MLFLOW_TRACKING_URI": registry,
            },
        )
        first = self.folder / f"clone-{len(self.clones) + 1}"
        watcher = threading.Thread(target=end_time, args=(first, stop_at)) if stop_at else None
        if watcher:
            watcher.start()
        jobs = runner.run_workflow(RETRAIN, PART, {}, self.clone)
        if watcher:
            watcher.join()
        return jobs

    def clone(self) -> Path:
        """The checkout of a job."""
        clone = self.folder / f"clone-{len(self.clones) + 1}"
        self.run("git", "clone", "--quiet", "--depth=1", "--branch=main", f"file://{self.origin}", str(clone))
        self.clones.append(Line(clone))
        return clone


def read_alias(registry: str, alias: str) -> tuple[int, str]:
    """Number and data hash of the version behind an alias."""
    version = MlflowClient(registry).get_model_version_by_alias("huebands-generator", alias)
    return int(version.version), version.tags["huebands.register.data_sha256"]


def end_time(clone: Path, file: str) -> None:
    """Let the time of the pipeline in a clone be up when a file comes: its alarm is what `timeout` waits for."""
    deadline = time.monotonic() + 300
    while not (clone / file).exists():
        assert time.monotonic() < deadline, f"{file} has not come"
        time.sleep(0.05)
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "timeout" and process.info["cwd"] == str(clone):
            process.send_signal(14)


def started_by(files: list[str]) -> bool:
    """Whether a push of the files to main starts the workflow; the last pattern that fits decides."""
    patterns = pathspec.GitIgnoreSpec.from_lines(RETRAIN[True]["push"]["paths"])
    return any(map(patterns.match_file, files))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("rehearsal"))


@dataclass
class Retrained:
    """What a retraining gave."""

    job: Job
    clone: Line
    main: str  # commit of main before and after it
    head: str  # commit of its branch
    version: int  # of the challenger
    data: str  # hash of the data it was registered with


@pytest.fixture(scope="module")
def added(project: Project) -> Retrained:
    """After photos were added: a part whose time ends in the training, and the next one, with a registry of their own.

    Half of the photos are edited copies of older ones, under earlier names.
    """
    photos = project.developer.folder / "data/photos"
    draw_photos(photos, range(PHOTOS, PHOTOS + MORE))
    draw_copies(photos, range(COPIES))
    project.run("dvc", "add", "data/photos")
    assert started_by(project.push())
    main = project.main()
    jobs = project.retrain(registry="", stop_at="models/checkpoints/last.pt")
    assert jobs["first"].outputs == {"finished": "false"} and not jobs["first"].artifacts, jobs["first"].log
    assert jobs["second"].result == "success", jobs["second"].log
    assert jobs["third"].result == jobs["unfinished"].result == "skipped"
    assert project.main() == main
    clone = project.clones[-1]
    registry = f"sqlite:///{clone.folder / 'mlflow.db'}"
    head = clone.run("git", "rev-parse", "HEAD").strip()
    return Retrained(jobs["second"], clone, main, head, *read_alias(registry, "challenger"))


@pytest.fixture(scope="module")
def spoiled(project: Project, added: Retrained) -> Retrained:
    """After the branch of the first retraining was merged, one photo removed, one spoiled and the licence changed.

    The team's registry does not answer at first, so the run is started again.
    """
    assert not started_by(project.merge(added.job))
    photos, licence = project.developer.folder / "data/photos", project.developer.folder / "conf/data/folder.yaml"
    (photos / "000.png").unlink()
    (photos / "001.png").unlink()
    (photos / "001.png").write_bytes(b"no photo any more")
    licence.write_text(licence.read_text().replace("My own photos", "CC0"))
    project.compose()
    project.run("dvc", "add", "data/photos")
    assert started_by(project.push())
    main = project.main()
    jobs = project.retrain(registry=NOBODY)
    assert jobs["first"].result == "failure" and jobs["second"].result == "skipped"
    assert "`dvc repro` completes the registration" in jobs["first"].steps["repro"].log, jobs["first"].log
    jobs = project.retrain(registry=project.registry, attempt=2)
    assert jobs["first"].result == "success", jobs["first"].log
    assert project.main() == main
    clone = project.clones[-1]
    head = clone.run("git", "rev-parse", "HEAD").strip()
    return Retrained(jobs["first"], clone, main, head, *read_alias(project.registry, "challenger"))


def test_the_next_part_goes_on_with_the_training(added: Retrained) -> None:
    assert added.job.outputs == {"finished": "true"}
    assert "going on after epoch" in added.job.steps["repro"].log


def test_a_challenger_has_the_new_photos_and_old_ones_keep_their_splits(project: Project, added: Retrained) -> None:
    prepared = added.clone.folder / "data/prepared"
    assert len(pd.read_parquet(prepared / "manifest.parquet")) == PHOTOS + MORE + COPIES
    assert added.data == data_sha256(prepared)
    before, after = project.first_splits, read_splits(added.clone.folder)
    assert len(before) == PHOTOS and len(after) == PHOTOS + MORE + COPIES
    pd.testing.assert_frame_equal(after.loc[before.index], before)


def test_main_is_as_it_was_and_a_branch_has_the_results(project: Project, added: Retrained) -> None:
    branch = added.job.steps["branch"].outputs["branch"]
    heads = dict(line.split()[::-1] for line in project.run("git", "ls-remote", "--heads", "origin").splitlines())
    assert heads == {"refs/heads/main": added.main, f"refs/heads/{branch}": added.head}
    assert added.clone.run("git", "rev-parse", "HEAD~1").strip() == added.main


def test_the_summary_tells_version_verdict_certificate_metrics_and_pictures(added: Retrained) -> None:
    summary = added.job.summary
    headings = re.findall("^## (.*)", summary, flags=re.MULTILINE)
    assert headings == ["Registered", "Verdict", "Certificate", "Metrics", "Pictures"]
    assert "models:/huebands-generator/1 (new) is the challenger" in summary
    assert VERDICT in summary


def test_the_bento_has_the_trained_model(added: Retrained) -> None:
    (bento,) = added.job.artifacts["bento"]
    with tarfile.open(bento) as content:
        manifest = content.extractfile("./src/models/generator/manifest.json")
        assert manifest is not None
        assert manifest.read() == (added.clone.folder / "models/generator/manifest.json").read_bytes()
    assert [path.name for path in added.job.artifacts["registry"]] == ["generator", "mlflow.db", "mlartifacts"]


def test_a_run_that_failed_after_the_training_does_not_train_again(spoiled: Retrained) -> None:
    log = spoiled.job.steps["repro"].log
    assert "Stage 'train' didn't change, skipping" in log and "Running stage 'register'" in log


def test_photos_that_are_gone_spoiled_or_licensed_anew(project: Project, added: Retrained, spoiled: Retrained) -> None:
    prepared = spoiled.clone.folder / "data/prepared"
    manifest = pd.read_parquet(prepared / "manifest.parquet")
    assert len(manifest) == PHOTOS + MORE + COPIES - 2
    assert set(manifest["licence"]) == {"CC0"}
    assert pd.read_csv(spoiled.clone.folder / "data/raw/rejected.csv")["name"].tolist() == ["001.png"]
    assert [path.name for path in spoiled.job.artifacts["registry"]] == ["generator"], "the server has the rest"
    assert spoiled.data == data_sha256(prepared) != added.data
    before, after = read_splits(added.clone.folder), read_splits(spoiled.clone.folder)
    pd.testing.assert_frame_equal(after, before)
    kept = manifest.set_index("id")["split"]
    assert kept.equals(before["split"][kept.index])


def test_what_changed_is_shown_beside_the_model_of_before(spoiled: Retrained) -> None:
    summary, base = spoiled.job.summary, spoiled.main[:12]
    assert "models:/huebands-generator/1 (new) is the challenger" in summary
    for where in (f"`{base}`", "here"):
        assert re.search(rf"^\| Pixels, all channels at once .* \| {where} \|$", summary, flags=re.MULTILINE), where
    assert re.search(rf"^\| Path +\| Metric +\| {base} ", summary, flags=re.MULTILINE)
    for commit in (spoiled.main, spoiled.clone.run("git", "rev-parse", "HEAD").strip()):
        assert f"({PAGE}/raw/{commit}/reports/calibrate/coverage.png)" in summary


def test_after_the_merge_nothing_has_to_run(project: Project, spoiled: Retrained) -> None:
    changed = project.merge(spoiled.job)
    assert {"dvc.lock", "docs/results.md", "models/trained/generator.safetensors"} <= set(changed)
    assert not started_by(changed)
    job = project.retrain(registry="")["first"]
    assert job.steps["plan"].outputs == {"changed": "false"}
    assert "No stage has to run again." in job.summary
    assert job.outputs == {"finished": ""} and not job.artifacts


def read_splits(folder: Path) -> pd.DataFrame:
    """The remembered splits of a checkout, by photo."""
    return pd.read_csv(folder / SPLITS, comment="#", dtype=str).set_index("id")

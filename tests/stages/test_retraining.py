"""The workflow that retrains: what starts it, what it finds to do, and the branch that it pushes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pathspec
import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/retrain.yml").read_text(encoding="utf-8"))
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MADE = ("data/", "models/", "reports/")

# Two stages: data that git does not hold, and a model that it does.
PIPELINE = {
    "stages": {
        "prepare": {
            "cmd": "mkdir -p data/prepared && cp photos.txt data/prepared",
            "deps": ["photos.txt"],
            "outs": ["data/prepared"],
        },
        "train": {
            # The report, a new name, differs in every run, as one with a time does.
            "cmd": [
                "mkdir -p models reports && cat data/prepared/photos.txt params.yaml > models/weights",
                "mktemp -u > reports/time",
            ],
            "deps": ["data/prepared"],
            "params": ["epochs"],
            "outs": [{"models/weights": {"cache": False}}, {"reports/time": {"cache": False}}],
        },
    }
}

# Stands for docs/results.py, which takes the pages' figures from all reports of the project.
RESULTS = """from pathlib import Path

Path("docs/results.md").write_text(Path("models/weights").read_text())
"""


class Checkout:
    """A clone of the project in which the commands of the workflow run."""

    def __init__(self, folder: Path, origin: Path) -> None:
        self.folder, self.origin = folder, origin
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC", "MAKE"))}
        roles = ("GIT_AUTHOR", "GIT_COMMITTER")
        self.environment = {
            **variables,
            **{f"{role}_NAME": "test" for role in roles},
            **{f"{role}_EMAIL": "test@example.org" for role in roles},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def clone(self, folder: Path) -> "Checkout":
        """A fresh checkout of the newest commit of main, as a runner has it."""
        self.run("git", "clone", "--quiet", "--depth=1", "--branch=main", f"file://{self.origin}", str(folder))
        return Checkout(folder, self.origin)

    def push(self, file: str, content: str) -> None:
        """Change a file on main."""
        (self.folder / file).write_text(content)
        self.run("git", "add", file)
        self.run("git", "commit", "--quiet", f"--message={file}")
        self.run("git", "push", "--quiet", "origin", "main")

    def plan(self) -> str:
        return self.run(".ci/retrain-plan")

    def make(self, *words: str) -> str:
        installed = ("--old-file=install", f"BIN={Path(sys.executable).parent}")
        return self.run("make", "--silent", *installed, "OUTPUT=/dev/stdout", *words)

    def push_results(self, branch: str) -> str:
        self.run("dvc", "repro", "--quiet")
        return self.make("retrain-branch", f"REMOTE=file://{self.origin}", f"BRANCH={branch}")

    def branches(self) -> list[str]:
        listed = self.run("git", "ls-remote", "--heads", f"file://{self.origin}").split()[1::2]
        return [head.removeprefix("refs/heads/") for head in listed]


@pytest.fixture
def developer(tmp_path: Path) -> Checkout:
    """A project whose pipeline has run, pushed to main."""
    origin, folder = tmp_path / "origin.git", tmp_path / "developer"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin)], check=True)
    (folder / ".ci").mkdir(parents=True)
    for script in ("retrain-plan", "retrain-branch", "within"):
        shutil.copy(ROOT / ".ci" / script, folder / ".ci")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "docs").mkdir()
    (folder / "docs/results.py").write_text(RESULTS)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    (folder / "params.yaml").write_text("epochs: 1\n")
    (folder / "photos.txt").write_text("photos\n")
    (folder / ".gitignore").write_text("/data\n/build\n/models/checkpoints\n/.venv\n")
    checkout = Checkout(folder, origin)
    checkout.run("git", "init", "--quiet", "--initial-branch=main")
    checkout.run("dvc", "init", "--quiet")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc")
    checkout.run("git", "remote", "add", "origin", f"file://{origin}")
    checkout.run("dvc", "repro", "--quiet")
    checkout.run("python", "docs/results.py")
    checkout.run("git", "add", ".")
    checkout.run("git", "commit", "--quiet", "--message=trained")
    checkout.run("git", "push", "--quiet", "origin", "main")
    return checkout


def test_without_a_change_there_is_nothing_to_run_and_no_branch(developer: Checkout, tmp_path: Path) -> None:
    developer.push("README.md", "words\n")
    runner = developer.clone(tmp_path / "runner")
    assert runner.plan() == "changed=false\n"
    assert not (runner.folder / "data").exists(), "a plan needs no data"
    assert runner.push_results("retrain/1") == "branch=\n"
    assert (runner.folder / "data").exists(), "the whole pipeline has run"
    assert runner.branches() == ["main"]


def test_a_worktree_plans_and_pushes_like_a_clone(developer: Checkout, tmp_path: Path) -> None:
    developer.run("git", "worktree", "add", "--quiet", "-b", "beside", str(tmp_path / "beside"))
    worktree = Checkout(tmp_path / "beside", developer.origin)
    assert (worktree.folder / ".git").is_file()
    assert worktree.plan() == "changed=false\n"
    (worktree.folder / "params.yaml").write_text("epochs: 2\n")
    assert worktree.plan() == "changed=true\n"
    assert worktree.push_results("retrain/1") == "branch=retrain/1\n"
    assert worktree.branches() == ["main", "retrain/1"]
    assert developer.run("git", "status", "--porcelain") == "", "the other checkout is as it was"


# The first is of a stage that lacks its data in a fresh clone, the second of one that does not.
@pytest.mark.parametrize(("file", "content"), [("params.yaml", "epochs: 2\n"), ("photos.txt", "more photos\n")])
def test_a_change_is_trained_once(file: str, content: str, developer: Checkout, tmp_path: Path) -> None:
    developer.push(file, content)
    runner = developer.clone(tmp_path / "runner")
    assert runner.plan() == "changed=true\n"
    assert runner.push_results("retrain/1") == "branch=retrain/1\n"
    assert runner.branches() == ["main", "retrain/1"]
    developer.run("git", "fetch", "--quiet", "origin", "retrain/1")
    changed = developer.run("git", "diff", "--name-only", "main", "FETCH_HEAD").split()
    assert changed == ["docs/results.md", "dvc.lock", "models/weights", "reports/time"]
    assert not started_by(changed), "the merge starts no run"
    developer.run("git", "merge", "--quiet", "--no-edit", "FETCH_HEAD")
    developer.run("git", "push", "--quiet", "origin", "main")
    again = developer.clone(tmp_path / "again")
    assert again.plan() == "changed=false\n"
    assert again.push_results("retrain/2") == "branch=\n"
    assert again.branches() == ["main", "retrain/1"]


def test_a_result_of_the_same_size_and_time_is_pushed(developer: Checkout, tmp_path: Path) -> None:
    """Git may take such a file for unchanged: one that a stage replaced in the second of the checkout, for example."""
    runner = developer.clone(tmp_path / "runner")
    weights, time = runner.folder / "models/weights", 10**9
    runner.run("git", "config", "core.trustctime", "false")  # no test can set that time
    os.utime(weights, (time, time))
    runner.run("git", "update-index", "--refresh")
    weights.write_text(weights.read_text().swapcase())
    os.utime(weights, (time, time))
    assert runner.run("git", "status", "--porcelain") == "", "git misses the change"
    assert runner.run(".ci/retrain-branch", f"file://{runner.origin}", "retrain/1") == "branch=retrain/1\n"
    assert runner.run("git", "show", "--name-only", "--format=", "HEAD").split() == ["models/weights"]


def test_a_result_that_is_no_longer_made_is_removed(developer: Checkout, tmp_path: Path) -> None:
    runner = developer.clone(tmp_path / "runner")
    (runner.folder / "reports/time").unlink()
    (runner.folder / "reports/more").touch()
    runner.run(".ci/retrain-branch", f"file://{runner.origin}", "retrain/1")
    changed = runner.run("git", "show", "--name-status", "--no-renames", "--format=", "HEAD").split("\n")
    assert changed == ["A\treports/more", "D\treports/time", ""]


def test_a_command_ends_in_time_or_is_stopped(tmp_path: Path) -> None:
    def within(minutes: str, script: str) -> tuple[int, str]:
        command = [ROOT / ".ci/within", minutes, "bash", "-c", script]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.returncode, done.stdout

    assert within("1", "echo words") == (0, "finished=true\n"), "what the command prints is no output of the step"
    assert within("1", "exit 3") == (3, "")
    late = tmp_path / "late"
    assert within("0.01", f"sleep 2 && touch {late}") == (0, "finished=false\n")
    time.sleep(2)
    assert not late.exists(), "no process of it goes on"


def test_a_stopped_pipeline_goes_on_in_another_clone(developer: Checkout, tmp_path: Path) -> None:
    developer.push("photos.txt", "more photos\n")
    stopped, going_on = (developer.clone(tmp_path / name) for name in ("stopped", "going-on"))
    stopped.run("dvc", "repro", "--quiet", "prepare")
    (stopped.folder / "models/checkpoints").mkdir()
    (stopped.folder / "models/checkpoints/last.pt").write_text("epoch 7")
    (stopped.folder / "models/weights").unlink()  # DVC removes what a stage is about to write
    stopped.make("retrain-save")
    (going_on.folder / "build").mkdir()
    shutil.copy(stopped.folder / "build/unfinished.tar", going_on.folder / "build")
    shutil.copytree(stopped.folder / ".dvc/cache", going_on.folder / ".dvc/cache")
    going_on.make("retrain-restore")
    assert (going_on.folder / "models/checkpoints/last.pt").read_text() == "epoch 7"
    assert not (going_on.folder / "models/weights").exists()
    said = going_on.run("dvc", "repro")
    assert "Stage 'prepare' didn't change, skipping" in said and "Running stage 'train'" in said
    assert (going_on.folder / "models/weights").read_text() == "more photos\nepochs: 1\n"


def test_a_training_anew_runs_every_stage_and_goes_on_when_it_was_stopped(developer: Checkout) -> None:
    recipe = developer.run("make", "--dry-run", "--old-file=install", "retrain").replace(".venv/bin/", "")
    check, remove, repro = recipe.splitlines()
    assert "readiness" in check, "of photos; this project has no package that could check"
    developer.run("bash", "-c", remove)
    assert "Running stage 'prepare'" in developer.run("bash", "-c", f"{repro} prepare"), "here it was stopped"
    said = developer.run("dvc", "repro")
    assert "Stage 'prepare' didn't change, skipping" in said and "Running stage 'train'" in said


def test_no_workflow_trusts_the_code_of_a_fork() -> None:
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        workflow = yaml.safe_load(text)
        starts = set(workflow[True])
        assert not starts & {"pull_request_target", "workflow_run", "issue_comment"}, path
        jobs = workflow["jobs"].values()
        granted = [workflow["permissions"], *(job.get("permissions", {}) for job in jobs)]
        if "pull_request" in starts:
            assert "secrets." not in text and "github.token" not in text, path
            assert all(set(permission.values()) <= {"read"} for permission in granted), path
        checkouts = [step for job in jobs for step in job.get("steps", ()) if "checkout" in step.get("uses", "")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts), path


def started_by(files: list[str]) -> list[str]:
    """Those of the files whose change on main starts the workflow; the last pattern that fits decides."""
    # YAML reads the word `on` as true.
    patterns = pathspec.GitIgnoreSpec.from_lines(WORKFLOW[True]["push"]["paths"])
    return [file for file in files if patterns.match_file(file)]


def test_what_stages_make_starts_no_run() -> None:
    made = [name if isinstance(name, str) else next(iter(name)) for stage in STAGES.values() for name in stage["outs"]]
    # Git tracks files alone: a folder's own name, with no folder there, fits no pattern that ends in a slash.
    files = ["dvc.lock", *(name if Path(name).suffix else f"{name}/file" for name in made)]
    ignored = subprocess.run(["git", "check-ignore", *files], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    assert not started_by([file for file in files if file not in ignored.splitlines()])


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_depends_on_starts_a_run(stage: str) -> None:
    listed = [name for name in STAGES[stage]["deps"] if not name.startswith((*MADE, "${"))]
    files = [f"{name}/__init__.py" if (ROOT / name).is_dir() else name for name in listed]
    files += ["conf/data/photos.yaml", "params.yaml", "dvc.yaml", "data/photos.dvc", "data/old/photo.jpg"]
    assert started_by(files) == files

"""Runs a job of a GitHub workflow on this machine: its commands as they stand, and caches and artifacts as folders.

Of the expressions it knows what the project's workflows use: contexts, `&&`, `||`, `==`, `!=` and texts. An action that
it does not know is an error, so that a workflow cannot do what no rehearsal has seen.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_CONTEXT = re.compile(r"\b(?:steps|inputs|vars|secrets|github|needs)(?:\.[\w-]+)+")


@dataclass
class Step:
    """What a step left, and what its command printed."""

    outcome: str = "skipped"
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """A job that has ended."""

    steps: dict[str, Step]
    summary: str
    artifacts: dict[str, list[Path]]
    outputs: dict[str, str]


class Runner:
    """A machine that runs jobs, each in a clone of its own.

    Args:
        folder: of what the machine keeps between jobs.
        environment: variables of every command.
        values: of contexts, such as {"github.sha": "..."}; variables, secrets and inputs that are missing are "".
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self._caches, self._environment, self._values = folder / "caches", environment, values

    def run(self, job: Mapping[str, Any], clone: Path, inputs: Mapping[str, Any]) -> Job:
        """Run a job in a clone; a command that fails is an error that shows what it printed."""
        give_environment(clone)
        steps: dict[str, Step] = {}
        summary = clone.parent / f"{clone.name}.summary"
        summary.touch()
        artifacts: dict[str, list[Path]] = {}

        def look(name: str) -> Any:
            head, *rest = name.split(".")
            if head == "steps":
                step = steps.get(rest[0], Step())
                return step.outcome if rest[1] == "outcome" else step.outputs.get(rest[2], "")
            if head == "inputs":
                return inputs.get(rest[0], "")
            return self._values.get(name, "") if head in ("vars", "secrets") else self._values[name]

        def fill(text: Any) -> str:
            return re.sub(
                r"\$\{\{(.*?)\}\}", lambda match: _word(_evaluate(match[1], look)), str(text), flags=re.DOTALL
            )

        variables = {name: fill(value) for name, value in job.get("env", {}).items()}
        for number, step in enumerate(job["steps"]):
            done = steps[step.get("id", f"step {number}")] = Step()
            if not _evaluate(str(step.get("if", "true")), look):
                continue
            settings = {name: fill(value) for name, value in step.get("with", {}).items()}
            if "run" in step:
                own = {name: fill(value) for name, value in step.get("env", {}).items()}
                done.log, done.outputs = self._command(fill(step["run"]), clone, summary, variables | own)
            else:
                self._act(step["uses"].partition("@")[0], settings, clone, done, artifacts)
            done.outcome = "success"
        outputs = {name: fill(value) for name, value in job.get("outputs", {}).items()}
        return Job(steps, summary.read_text(encoding="utf-8"), artifacts, outputs)

    def _command(
        self, script: str, clone: Path, summary: Path, variables: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        output = clone.parent / f"{clone.name}.output"
        output.write_text("")
        told = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=clone,
            env={**self._environment, "PYTHONPATH": str(clone / "src"), **told, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-6000:]}"
        return done.stdout, dict(line.split("=", 1) for line in output.read_text().splitlines())

    def _act(
        self, action: str, settings: Mapping[str, str], clone: Path, step: Step, artifacts: dict[str, list[Path]]
    ) -> None:
        paths = [clone / path for path in settings.get("path", "").split()]
        match action:
            case "actions/checkout" | "actions/setup-python":
                pass
            case "actions/cache/restore":
                step.outputs = {"cache-primary-key": settings["key"]}
                found = self._find(settings["key"], settings.get("restore-keys", "").split())
                if found:
                    shutil.copytree(found, clone, dirs_exist_ok=True)
                    step.outputs["cache-matched-key"] = found.name
            case "actions/cache/save":
                for path in filter(Path.exists, paths):
                    copy = shutil.copytree if path.is_dir() else shutil.copy2
                    target = self._caches / settings["key"] / path.relative_to(clone)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    copy(path, target)
            case "actions/upload-artifact":
                artifacts[settings["name"]] = list(filter(Path.exists, paths))
                assert artifacts[settings["name"]], f"nothing of {settings['path']}"
            case _:
                raise AssertionError(f"no rehearsal knows {action}")

    def _find(self, key: str, prefixes: list[str]) -> Path | None:
        """The cache of a key, or the newest whose key starts with one of the prefixes."""
        if (self._caches / key).is_dir():
            return self._caches / key
        for prefix in prefixes:
            found = sorted(self._caches.glob(f"{prefix}*"), key=lambda path: path.stat().st_mtime)
            if found:
                return found[-1]
        return None


def give_environment(clone: Path) -> None:
    """Give a clone the environment that runs this test, so that `make install` has nothing to do."""
    environment = clone / ".venv"
    environment.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (environment / name).symlink_to(Path(sys.prefix) / name)
    (environment / ".installed").touch()


def without_variables_of_tools() -> dict[str, str]:
    """The variables of this process without those that tell git, DVC, MLflow or make what to do."""
    started = ("GIT_", "DVC", "MLFLOW", "MAKE", "MFLAGS", "HUEBANDS", "GITHUB_")
    return {name: value for name, value in os.environ.items() if not name.startswith(started)}


def read_workflow(path: Path) -> dict[Any, Any]:
    """Read a workflow; YAML reads the word `on` as true."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _evaluate(expression: str, look: Any) -> Any:
    python = _CONTEXT.sub(lambda match: f"look({match[0]!r})", expression)
    python = python.replace("&&", " and ").replace("||", " or ")
    return eval(python.strip(), {"__builtins__": {}, "look": look, "true": True, "false": False})


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Runs a GitHub workflow on this machine: its commands as they stand, and caches and artifacts as folders.

Of the expressions it knows what the project's workflows use: contexts, comparisons, `&&`, `||`, `!`, texts, and the
functions that ask for the status. After a failure, a step or a job without such a function is left out. An action
that is not known is an error, so that a workflow cannot do what no rehearsal has seen.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_CONTEXT = re.compile(r"\b(?:steps|inputs|vars|secrets|github|needs|jobs)(?:\.[\w-]+)+")
_STATUS = re.compile(r"\b(success|failure|cancelled|always)\(\)")

Look = Callable[[str], Any]  # gives the value of a name in the contexts


@dataclass
class Step:
    """What a step left, and what its command printed."""

    outcome: str = "skipped"
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """A job that has ended: result is "success", "failure" or "skipped"."""

    result: str = "skipped"
    steps: dict[str, Step] = field(default_factory=dict)
    summary: str = ""
    artifacts: dict[str, list[Path]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """The end of what the last command printed; for the message of an assertion."""
        return "".join(step.log for step in self.steps.values())[-6000:]


class Runner:
    """A machine that runs jobs, each in a clone of its own.

    Args:
        folder: of what the machine keeps between jobs.
        environment: variables of every command.
        values: of contexts, such as {"github.sha": "..."}; variables, secrets and inputs that are missing are "".
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self._caches, self._environment, self._values = folder / "caches", environment, values

    def run_workflow(
        self,
        workflow: Mapping[Any, Any],
        called: Mapping[Any, Any],
        inputs: Mapping[str, Any],
        clone: Callable[[], Path],
    ) -> dict[str, Job]:
        """Run the jobs of a workflow in their order, each when those that it needs allow it.

        Args:
            workflow: each of its jobs calls the other one, or has steps.
            called: the workflow that is called.
            inputs: of the workflow.
            clone: makes the checkout of a job.
        """
        done: dict[str, Job] = {}

        def look(text: str) -> Any:
            head, *rest = text.split(".")
            if head == "needs":
                return "" if done[rest[0]].result == "skipped" else done[rest[0]].outputs[rest[2]]
            return self._look(text, inputs)

        for name, job in workflow["jobs"].items():
            needed = [done[job["needs"]]] if "needs" in job else []
            if not _applies(job.get("if"), look, all(other.result == "success" for other in needed)):
                done[name] = Job()
            elif "uses" in job:
                assert job["uses"] == f"$/.github/workflows/{called['name']}.yml"
                given = {key: _fill_value(value, look) for key, value in job.get("with", {}).items()}
                done[name] = self._call(called, given, set(job.get("secrets", {})), clone())
            else:
                done[name] = self.run(job, clone(), inputs)
        return done

    def _call(self, called: Mapping[Any, Any], inputs: Mapping[str, Any], secrets: set[str], clone: Path) -> Job:
        """Run the only job of a workflow that is called; the outputs are those of the workflow."""
        declared = called[True]["workflow_call"]  # YAML reads the word `on` as true
        assert set(inputs) <= set(declared["inputs"]) and secrets == set(declared["secrets"])
        ((name, job),) = called["jobs"].items()
        done = self.run(job, clone, inputs)
        outputs = {f"jobs.{name}.outputs.{key}": value for key, value in done.outputs.items()}
        done.outputs = {key: _fill(output["value"], outputs.__getitem__) for key, output in declared["outputs"].items()}
        return done

    def _look(self, name: str, inputs: Mapping[str, Any]) -> Any:
        head, *rest = name.split(".")
        if head == "inputs":
            return inputs.get(rest[0], "")
        return self._values.get(name, "") if head in ("vars", "secrets") else self._values[name]

    def run(self, job: Mapping[str, Any], clone: Path, inputs: Mapping[str, Any]) -> Job:
        """Run a job in a clone. After a command that fails, a step runs only if its condition asks for the status."""
        give_environment(clone)
        summary = clone.parent / f"{clone.name}.summary"
        summary.touch()
        done = Job("success")

        def look(name: str) -> Any:
            head, *rest = name.split(".")
            if head == "steps":
                step = done.steps[rest[0]]
                return step.outcome if rest[1] == "outcome" else step.outputs.get(rest[2], "")
            return self._look(name, inputs)

        variables = {name: _fill(value, look) for name, value in job.get("env", {}).items()}
        for number, step in enumerate(job["steps"]):
            ended = done.steps[step.get("id", f"step {number}")] = Step()
            if not _applies(step.get("if"), look, done.result == "success"):
                continue
            settings = {name: _fill(value, look) for name, value in step.get("with", {}).items()}
            if "run" in step:
                own = {name: _fill(value, look) for name, value in step.get("env", {}).items()}
                self._command(_fill(step["run"], look), clone, summary, variables | own, ended)
            else:
                self._act(step["uses"].partition("@")[0], settings, clone, ended, done.artifacts)
                ended.outcome = "success"
            if ended.outcome == "failure":
                done.result = "failure"
        done.outputs = {name: _fill(value, look) for name, value in job.get("outputs", {}).items()}
        done.summary = summary.read_text(encoding="utf-8")
        return done

    def _command(self, script: str, clone: Path, summary: Path, variables: Mapping[str, str], step: Step) -> None:
        output = clone.parent / f"{clone.name}.output"
        output.write_text("")
        told = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=clone,
            env={**self._environment, "PYTHONPATH": str(clone / "src"), **told, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        step.log, step.outcome = f"{script}\n{done.stdout}", "failure" if done.returncode else "success"
        step.outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())

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
                if found_paths := list(filter(Path.exists, paths)):  # else GitHub warns
                    artifacts[settings["name"]] = found_paths
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


def _applies(condition: Any, look: Look, succeeded: bool) -> bool:
    """Whether a step or job runs; without a function of the status it needs success."""
    text = _EXPRESSION.sub(lambda match: match[1], str(condition or "true"))
    if not _STATUS.search(text):
        text = f"success() && ({text})"
    return bool(_evaluate(text, look, succeeded))


def _fill(text: Any, look: Look) -> str:
    return _EXPRESSION.sub(lambda match: _word(_evaluate(match[1], look)), str(text))


def _fill_value(value: Any, look: Look) -> Any:
    """An input of a workflow that is called: of an expression alone its value, with its type."""
    whole = _EXPRESSION.fullmatch(str(value))
    return _evaluate(whole[1], look) if whole else value


def _evaluate(expression: str, look: Look, succeeded: bool = True) -> Any:
    python = _CONTEXT.sub(lambda match: f"look({match[0]!r})", expression)
    python = re.sub(r"!(?!=)", " not ", python.replace("&&", " and ").replace("||", " or "))
    status = {"success": succeeded, "failure": not succeeded, "cancelled": False, "always": True}
    names = {name: lambda value=value: value for name, value in status.items()}
    return eval(python.strip(), {"__builtins__": {}, "look": look, "true": True, "false": False, **names})


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

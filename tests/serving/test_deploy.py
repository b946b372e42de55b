"""The files of deploy/ are valid, and the service and the registry take the settings in them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from huebands.serving.admission.limits import Limits
from huebands.serving.following.settings import FollowSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "follower/huebands.service"
COMPOSE_FILES = ("follower/compose.yaml", "baked/compose.yaml")
REGISTRY = DEPLOY / "registry"
REGISTRY_SERVICES = yaml.safe_load((REGISTRY / "compose.yaml").read_text())["services"]
BIN = Path(sys.executable).parent


def container(name: str) -> dict:
    """The one container of a compose file."""
    (service,) = yaml.safe_load((DEPLOY / name).read_text())["services"].values()
    return service


def unit_environment() -> dict[str, str]:
    lines = UNIT.with_name("huebands.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


ENVIRONMENTS = {name: container(name)["environment"] for name in COMPOSE_FILES} | {"unit": unit_environment()}


@pytest.mark.parametrize("name", [*COMPOSE_FILES, "registry/compose.yaml"])
def test_a_compose_file_is_as_the_specification_says(name: str) -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / name]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_passes_the_check_of_systemd(tmp_path: Path) -> None:
    (tmp_path / UNIT.name).write_text(UNIT.read_text().replace("/srv/huebands/.venv/bin", str(BIN)))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / UNIT.name], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_service_takes_the_settings(name: str) -> None:
    environment = ENVIRONMENTS[name]
    assert Limits.from_environment(environment).processes == 2
    read = "".join(path.read_text() for path in (ROOT / "src/huebands").rglob("*.py"))
    unknown = [key for key in environment if key.startswith("HUEBANDS_") and key not in read]
    assert unknown == []
    follows = FollowSettings.from_environment(environment)
    if name.startswith("baked"):
        assert follows is None and not any(key.startswith("MLFLOW") or key == "HUEBANDS_MODEL" for key in environment)
    else:
        assert follows == FollowSettings(address="models:/huebands-generator@champion", every_seconds=60)
        assert "MLFLOW_TRACKING_URI" in environment


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_a_container_writes_temporary_files_only_and_has_time_to_finish_photos(name: str) -> None:
    service = container(name)
    assert service["read_only"] and service["tmpfs"][0].startswith("/tmp:")
    assert int(service["stop_grace_period"].removesuffix("s")) > 25
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_no_file_holds_a_password() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert not re.search(
                r"^\s*[^#\s]*(?:PASSWORD|SECRET_ACCESS_KEY|TOKEN)[=:][ \t]*[^\s$]", path.read_text(), re.MULTILINE
            ), path


def test_make_names_the_images_of_the_compose_files() -> None:
    for name, variables in (("follower", ["FOLLOW=yes"]), ("baked", ["MODEL=models:/huebands-generator/3"])):
        planned = subprocess.run(
            ["make", "--dry-run", "--always-make", "container", *variables],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"--image-tag {container(f'{name}/compose.yaml')['image']}\n" in planned
        assert ("--follow\n" in planned) == (name == "follower")
        assert ("HUEBANDS_MODEL='models:/huebands-generator/3'" in planned) == (name == "baked")


def test_the_registry_takes_its_secrets_from_the_environment() -> None:
    text = (REGISTRY / "compose.yaml").read_text()
    example = dict(
        line.split("=", 1) for line in (REGISTRY / ".env.example").read_text().splitlines() if line[0] != "#"
    )
    assert set(re.findall(r"\$\{(\w+)", text)) == set(example), "every variable, and no other, is in the example"
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == {"POSTGRES_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert {example[name] for name in required} == {""}
    assert not re.search(r"://[^/\s]*:[^/\s]*@", text), "no address with a password"
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "deploy/registry/.env"], cwd=ROOT)
    assert ignored.returncode == 0


def test_what_runs_on_in_the_registry_has_a_health_check_and_is_started_again() -> None:
    lasting = {name: service for name, service in REGISTRY_SERVICES.items() if service["restart"] != "no"}
    assert set(lasting) == {"database", "files", "server"}
    assert all("healthcheck" in service for service in lasting.values())
    assert {name for name, service in lasting.items() if "volumes" in service} == {"database", "files"}
    assert {name for name, service in lasting.items() if "ports" in service} == {"server"}, "clients need no other"
    assert lasting["server"]["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_the_images_of_the_registry_are_pinned_and_its_mlflow_is_that_of_the_lock() -> None:
    images = {service["image"] for service in REGISTRY_SERVICES.values()}
    assert all(re.fullmatch(r".+:[\w.-]*\d[\w.-]*", image) for image in images), images
    dockerfile = (REGISTRY / "Dockerfile").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert f"ARG MLFLOW={locked['mlflow']}\n" in dockerfile and f"huebands-registry:{locked['mlflow']}" in images
    assert re.search(r"^FROM \S+:3\.\d+-\S+$", dockerfile, re.MULTILINE) and "\nUSER 10001\n" in dockerfile
    checked = subprocess.run([BIN / "hadolint", REGISTRY / "Dockerfile"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr

"""A copy of the tree in which the pipeline runs at small size, and photos from which there is something to learn."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
PHOTOS, EPOCHS = 70, 10
SMALL = (
    "data=folder", "experiment=small", f"train.epochs={EPOCHS}", "model.image_size=32",
    "model.network={filters: 8, depth: 4}",
    "model.objective.discriminator={filters: 8, layers: 2, norm: batch}", "prepare.group_distance=2",
    "prepare.fractions={train: 0.44, val: 0.2, calibration: 0.2, test: 0.16}",
    "validate.min_photos={train: 10, val: 1, calibration: 9, test: 1}", "validate.chroma_mean=[5, 100]",
    "density.image_size=32", "calibrate.heatmaps=1",
)  # fmt: skip

SETTINGS = [word for override in SMALL for word in ("-S", override)]


class Line:
    """A copy of the tree in which the pipeline can be run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first_output = ""
        scripts = Path(sys.executable).parent
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "DVC", "GIT_"))},
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command: str, succeeds: bool = True) -> str:
        """Run a command in the copy and give what it printed."""
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == succeeds, output[-4000:]
        return output

    def commit(self) -> None:
        """Commit whatever is not ignored."""
        self.run("git", "add", ".")
        self.run("git", "commit", "-qm", "changed", "--allow-empty")

    def changes(self) -> set[tuple[str, str]]:
        """What `git status` shows: state and path of each file."""
        lines = self.run("git", "status", "--porcelain", "--untracked-files=all").splitlines()
        return {(line[:2].strip(), line[3:]) for line in lines}

    @property
    def stages(self) -> dict:
        """The stages of dvc.yaml."""
        return yaml.safe_load((self.folder / "dvc.yaml").read_text())["stages"]

    def kept_by_dvc(self) -> dict[str, str]:
        """Hash of every file that DVC keeps in its cache, by path."""
        outputs = [output for stage in self.stages.values() for output in stage["outs"]]
        # A dictionary has options: cache: false is what git keeps, or nobody.
        names = [next(iter(output)) if isinstance(output, dict) else output for output in outputs]
        options = [next(iter(output.values())) if isinstance(output, dict) else {} for output in outputs]
        kept = [self.folder / name for name, option in zip(names, options, strict=True) if option.get("cache", True)]
        files = [file for path in kept for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
        return {str(file.relative_to(self.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    def read_json(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())


def draw_photos(folder: Path, numbers: Sequence[int]) -> None:
    """Draw scenes whose colours depend on their lightness, so that there is something to learn.

    They also depend on the place: photos whose colours lie on one tone curve would be set aside as tinted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        random = np.random.default_rng(number)
        coarse = Image.fromarray(random.integers(0, 256, (6, 8), dtype=np.uint8))
        grey = np.asarray(coarse.resize((96, 72), Image.Resampling.BICUBIC), np.float32)
        rgb = np.stack((grey, 0.8 * grey + 20, 200 - 0.6 * grey), axis=-1) + random.normal(0, 3, (72, 96, 3))
        rgb += np.linspace(-8, 8, 96)[None, :, None] * (1, 0, -1)
        Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03d}.png")


def draw_copies(folder: Path, numbers: Sequence[int]) -> None:
    """Save drawn photos a second time, enlarged, under names that sort before: "000-copy.png" before "000.png"."""
    for number in numbers:
        with Image.open(folder / f"{number:03d}.png") as picture:
            picture.resize((192, 144), Image.Resampling.BICUBIC).save(folder / f"{number:03d}-copy.png")


def copy_tree(folder: Path, outputs: bool = False) -> Line:
    """Copy the files that git does not ignore, the outputs of the pipeline only if asked, and commit them."""
    line = Line(folder)
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in tracked.stdout.splitlines():
        made = name.startswith(("reports/", "models/")) or name == "dvc.lock"
        if (outputs or not made) and (ROOT / name).is_file():
            target = line.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    if (ROOT / "data/cache").is_dir():
        (line.folder / "data/cache").symlink_to(ROOT / "data/cache")
    for command in (
        ("init", "-q"), ("config", "user.email", "test@example.org"), ("config", "user.name", "test"),
        ("add", "."), ("commit", "-qm", "small"),
    ):  # fmt: skip
        line.run("git", *command)
    return line

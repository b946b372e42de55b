"""Writes the table of README.md from results/.

python studies/colours/table.py > table.md
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
FIGURES = ("ciede2000", "psnr", "colourfulness_error")


def main() -> None:
    """Print one row a training, by CIEDE2000 of the mean head."""
    runs = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    runs = {name: run for name, run in runs.items() if "recipe" in run}
    print("| training | train photos | seconds | steps | mean head: CIEDE2000, PSNR, colourfulness error | annealed |")
    print("|---|---|---|---|---|---|")
    grey = next(iter(runs.values()))["val"]["grey"]["all"]
    print(f"| grey | | | | {cells(grey)} | |")
    for name, run in sorted(runs.items(), key=lambda item: item[1]["val"]["mean x1"]["all"]["ciede2000"]):
        variants = (cells(run["val"][variant]["all"]) for variant in ("mean x1", "annealed 0.38"))
        print(f"| {name} | {run['train_photos']} | {run['seconds']} | {run['steps']} | {' | '.join(variants)} |")


def cells(figures: dict[str, float]) -> str:
    """Three figures."""
    return ", ".join(f"{figures[name]:.2f}" for name in FIGURES)


if __name__ == "__main__":
    main()

"""Write docs/results.md, and the figures in other pages, from the committed files below reports/ and models/.

    python docs/results.py           # or `make results`
    python docs/results.py --check   # change nothing; exit with 1 when a page is out of date
    python docs/results.py --take    # first copy the tables that `make compare` and the like have written

docs/results.md.j2 is the page. Its blocks also fill what stands between `<!-- results: BLOCK -->` and
`<!-- /results -->` in README.md and docs/. Every measurement below reports/benchmarks and reports/results is NAME.json
(command, machine, date, figures) with NAME.csv beside it where there is a table.
"""

import argparse
import csv
import json
import math
import re
import statistics
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import jinja2

ROOT = Path(__file__).parents[1]
PAGE, TEMPLATE = Path("docs/results.md"), Path("docs/results.md.j2")
MEASUREMENTS = (Path("reports/benchmarks"), Path("reports/results"))
RELEASES, PIPELINE_MODEL = Path("models/release"), Path("models/generator")
PIPELINE_CARD = Path("reports/MODEL_CARD.md")
STUDY = Path("studies/colours/results")
SCALING = ("1000", "4000", "base", "22000")  # trainings of the study that differ in the number of photos alone

# The metrics of a package: key, name in the tables, decimals, unit of a figure.
METRICS = (
    ("psnr", "PSNR, dB (higher is better)", 2, ""),
    ("ssim", "SSIM (higher is better)", 3, ""),
    ("ciede2000", "CIEDE2000 (lower is better)", 2, ""),
    ("ab_mae", "ab MAE, CIELAB units (lower is better)", 2, ""),
    ("ab_auc", "AuC of the ab error (higher is better)", 3, ""),
    ("lpips", "LPIPS, VGG (lower is better)", 3, ""),
    ("fid", "FID (lower is better)", 0, ""),
    ("kid", "KID (lower is better)", 4, ""),
    ("colourfulness", "colourfulness", 1, ""),
    ("colourfulness_error", "error of colourfulness (lower is better)", 1, ""),
    ("clipped", "pixels at the edge of sRGB", 1, "%"),
    ("bleeding", "colour bleeding (lower is better; grey has no colour to bleed)", 3, ""),
)
# The names of the metrics in a model card.
CARD_NAMES = {
    "PSNR, dB": "psnr",
    "SSIM": "ssim",
    "CIEDE2000": "ciede2000",
    "ab MAE, CIELAB units": "ab_mae",
    "ab AuC": "ab_auc",
    "LPIPS": "lpips",
    "FID": "fid",
    "KID": "kid",
    "colourfulness": "colourfulness",
    "colourfulness error": "colourfulness_error",
    "share of clipped pixels": "clipped",
    "colour bleeding": "bleeding",
}
CANDIDATE_COLUMNS = ("candidate", "metric", "value", "low", "high", "standard_error")
BASELINES = ("grey", "lightness")
MARKED = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- /results -->)", re.DOTALL)
Row = Mapping[str, str]


class ResultsError(ValueError):
    """A report lacks something that a page shows; the message names both."""


@dataclass(frozen=True)
class Measurement:
    """One measurement: how it was taken, its single figures, and its table.

    Attributes:
        name: name of the file, without suffix.
        metadata: command, machine, date, note, and commit or recorded_in.
        figures: values that stand alone.
        rows: rows of the table, as text, so that every digit is kept.
    """

    name: str
    metadata: Mapping[str, Any]
    figures: Mapping[str, Any]
    rows: Sequence[Row] = ()

    def __post_init__(self) -> None:
        if not {"commit", "recorded_in"} & set(self.metadata):
            raise ResultsError(f"{self.name}.json lacks commit, or recorded_in where its figures were copied by hand")

    @property
    def recorded_in(self) -> str:
        """The commit that recorded figures copied by hand; empty where a script has written them."""
        return str(self.metadata.get("recorded_in", ""))

    @property
    def date(self) -> str:
        """The day of the measurement, or of the record where that alone is known."""
        return str(self.metadata["date"]).partition(",")[0]

    @property
    def source(self) -> str:
        """How, where and when it was measured, as one line."""
        command = self.metadata["command"]
        command_text = f"Command: {command}" if command.startswith("not ") else f"`{command}`"
        note = f" {self.metadata['note']}" if self.metadata.get("note") else ""
        recorded = f" Recorded by hand in `{self.recorded_in}`." if self.recorded_in else ""
        return f"{command_text}. Machine: {self.metadata['machine']}. Date: {self.metadata['date']}.{recorded}{note}"

    def find(self, **values: str) -> Row | None:
        """The only row with these values; None where there is none. Raises like `row`."""
        return self.row(**values) if any(values.items() <= row.items() for row in self.rows) else None

    def row(self, **values: str) -> Row:
        """The only row with these values.

        Raises:
            ResultsError: when there is none, or more than one.
        """
        rows = [row for row in self.rows if all(row[key] == value for key, value in values.items())]
        if len(rows) != 1:
            raise ResultsError(f"{self.name}.csv has {len(rows)} rows with {values}, need one")
        return rows[0]


@dataclass(frozen=True)
class Model:
    """A model package and its figures on its test photos.

    Attributes:
        name: name of the package's data, such as "photos".
        folder: folder of the package.
        photos: by split.
        calibration_photos: how many of them calibrated it, one of each group of near-duplicates.
        coverage_photos: how many test photos its coverage was measured on, one of each group.
        metrics: by key: model, low, high, grey, and truth or standard_error where there is one.
        curve: rows of coverage: mode, alpha, coverage, coverage_low, coverage_high, width, widths.
        grouped: the same with the promise in each group.
        sources: rows of coverage by source and mode; empty where the package has none.
        description: the card's words on network and training.
        is_default: whether the command uses it without --model.
        with_hints: certificate of its calibration on photos with hints; None: it takes none.
    """

    name: str
    folder: Path
    photos: Mapping[str, int]
    calibration_photos: int
    coverage_photos: int
    metrics: Mapping[str, Mapping[str, float]]
    curve: Sequence[Mapping[str, Any]]
    grouped: Sequence[Mapping[str, Any]]
    sources: Sequence[Mapping[str, Any]]
    description: str
    is_default: bool = False
    with_hints: Mapping[str, Any] | None = None

    def coverage_at(self, mode: str, alpha: float = 0.1, grouped: bool = False) -> Mapping[str, Any]:
        """Coverage and widths at one alpha."""
        rows = [
            row for row in (self.grouped if grouped else self.curve) if (row["mode"], row["alpha"]) == (mode, alpha)
        ]
        if len(rows) != 1:
            raise ResultsError(f"{self.folder}/calibration.json has {len(rows)} rows for {mode} at {alpha}, need one")
        return rows[0]


def read_json(path: Path) -> Any:
    """Read a JSON file below the project's folder."""
    return json.loads(read_text(path))


def read_text(path: Path) -> str:
    """Read a text file below the project's folder."""
    return (ROOT / path).read_text(encoding="utf-8")


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file below the project's folder."""
    with (ROOT / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_measurements() -> dict[str, Measurement]:
    """Read every measurement, by its file's name."""
    measurements = {}
    for path in sorted(file for folder in MEASUREMENTS for file in (ROOT / folder).glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        missing_keys = {"command", "machine", "date", "figures"} - set(content)
        if missing_keys:
            raise ResultsError(f"{path.relative_to(ROOT)} lacks {', '.join(sorted(missing_keys))}")
        table = path.with_suffix(".csv")
        rows = read_csv(table.relative_to(ROOT)) if table.exists() else []
        measurements[path.stem] = Measurement(path.stem, content, content["figures"], rows)
    return measurements


def read_models() -> list[Model]:
    """The released models, and the pipeline's own."""
    index = read_json(RELEASES / "index.json")
    return [*(read_released_model(name, name == index["best"]) for name in index["packages"]), read_pipeline_model()]


def read_released_model(name: str, is_default: bool) -> Model:
    """Read a released package; its card has the metrics."""
    folder = RELEASES / name
    config, calibration, card = (folder / name for name in ("config.json", "calibration.json", "MODEL_CARD.md"))
    return make_model(folder, config, calibration, card, metrics_of_card(card), is_default)


def read_pipeline_model() -> Model:
    """Read the pipeline's model from what its stages keep in git; models/generator is joined from that."""
    config, calibration = Path("models/trained/config.json"), Path("models/calibration/calibration.json")
    return make_model(PIPELINE_MODEL, config, calibration, PIPELINE_CARD, evaluated_metrics())


def make_model(
    folder: Path,
    config: Path,
    calibration: Path,
    card: Path,
    metrics: Mapping[str, Mapping[str, float]],
    is_default: bool = False,
) -> Model:
    """Describe a model by its files below the project's folder."""
    description = read_json(calibration)
    certificate, hinted = description["certificate"], calibration.with_name("calibration-hints.json")
    return Model(
        name=read_json(config)["lineage"]["data"],
        folder=folder,
        photos=photos_of_card(card),
        calibration_photos=description["photos"],
        coverage_photos=certificate["test_photos"],
        metrics=metrics,
        curve=certificate["curve"],
        grouped=certificate["grouped"],
        sources=certificate.get("sources", ()),
        description=description_of_card(card),
        is_default=is_default,
        with_hints=read_json(hinted)["certificate"] if (ROOT / hinted).exists() else None,
    )


@dataclass(frozen=True)
class Study:
    """The trainings of studies/colours, on the photos of val.

    Attributes:
        grey: figures of the same photos without colour: ciede2000, psnr, colourfulness_error.
        trainings: name, photos, seconds, steps, and the figures of both heads, mean and annealed; by the mean head's
            CIEDE2000.
        frontier: rows of frontier.csv: colours of the released weights by undone and temperature.
    """

    grey: Mapping[str, float]
    trainings: Sequence[Mapping[str, Any]]
    frontier: Sequence[Row]

    @classmethod
    def read(cls) -> "Study":
        """Read its reports."""
        reports = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / STUDY).glob("*.json"))}
        reports = {name: report for name, report in reports.items() if "recipe" in report}
        trainings = [
            {
                "name": name,
                "photos": report["train_photos"],
                "seconds": report["seconds"],
                "steps": report["steps"],
                "mean": report["val"]["mean x1"]["all"],
                "annealed": report["val"]["annealed 0.38"]["all"],
            }
            for name, report in reports.items()
        ]
        trainings.sort(key=lambda training: training["mean"]["ciede2000"])
        grey = next(iter(reports.values()))["val"]["grey"]["all"]
        return cls(grey, trainings, read_csv(STUDY / "frontier.csv"))

    @property
    def scaling(self) -> tuple[float, float]:
        """CIEDE2000 of the mean head as a line in the decimal logarithm of photos: at one photo, and a decade's gain.

        Least squares through the trainings of `SCALING`.
        """
        photos, errors = zip(*self._scaled, strict=True)
        slope, start = statistics.linear_regression([math.log10(count) for count in photos], errors)
        return start, -slope

    def expected_at(self, photos: int) -> float:
        """What the line of `scaling` says for so many photos."""
        start, gain = self.scaling
        return start - gain * math.log10(photos)

    @property
    def residual(self) -> float:
        """The largest distance of a training of `SCALING` from the line."""
        return max(abs(error - self.expected_at(photos)) for photos, error in self._scaled)

    @property
    def _scaled(self) -> list[tuple[int, float]]:
        """Photos and CIEDE2000 of the trainings of `SCALING`."""
        chosen = {training["name"]: training for training in self.trainings}
        return [(chosen[name]["photos"], chosen[name]["mean"]["ciede2000"]) for name in SCALING]


def evaluated_metrics() -> dict[str, Any]:
    """The metrics of the pipeline's model, as the stage evaluate has measured them."""
    metrics: dict[str, Any] = read_json(Path("reports/evaluate/metrics.json"))
    return {key: metrics[key] for key, *_ in METRICS if key in metrics}


def photos_of_card(card: Path) -> dict[str, int]:
    """How many photos of each split a card names, summed over its sources."""
    table = tables(read_text(card)).get("source")
    if table is None:
        raise ResultsError(f"{card} has no table of sources")
    splits = [name for name in table[0] if name not in ("source", "licence")]
    return {split: sum(int(row[split]) for row in table) for split in splits}


def description_of_card(card: Path) -> str:
    """What a card says of network and training, as one paragraph."""
    section = re.search(r"^## What it is\n+(.*?)^- ", read_text(card), re.MULTILINE | re.DOTALL)
    if section is None:
        raise ResultsError(f"{card} has no section 'What it is' with a list")
    return " ".join(section[1].split())


def metrics_of_card(card: Path) -> dict[str, dict[str, float]]:
    """The metrics that a card shows.

    Raises:
        ResultsError: when the card lacks one.
    """
    metrics: dict[str, dict[str, float]] = {}
    text = read_text(card)
    for row in tables(text).get("", []):
        key = CARD_NAMES.get(re.sub(r" \((higher|lower) is better\)$", "", row[""]))
        if key is not None and "left grey" in row:
            low, high = re.findall(r"[\d.]+", row["95% interval over photos"])
            metrics[key] = {"model": float(row["model"]), "low": float(low), "high": float(high)}
            metrics[key] |= {"grey": float(row["left grey"])} | ({"truth": float(row["truth"])} if row["truth"] else {})
    missing_keys = [key for key, *_ in METRICS if key not in metrics]
    if missing_keys:
        raise ResultsError(f"{card} lacks {', '.join(missing_keys)}")
    error = re.search(r"standard error is ([\d.]+\d)", text)
    if error:
        metrics["kid"]["standard_error"] = float(error[1])
    return metrics


def tables(markdown: str) -> dict[str, list[dict[str, str]]]:
    """The tables of a page, by the head of their first column."""
    tables_by_head: dict[str, list[dict[str, str]]] = {}
    for block in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in block.splitlines()]
        tables_by_head[lines[0][0]] = [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]
    return tables_by_head


def fixed(value: float | str, decimals: int = 2, unit: str = "") -> str:
    """A number with so many decimals; with the unit % a share becomes a percentage."""
    number = Decimal(str(value)) * (100 if unit == "%" else 1)
    return f"{number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)}{unit}"


def interval(figure: Mapping[str, Any], decimals: int = 2, unit: str = "", key: str = "model") -> str:
    """A figure and its interval: "12.05 (11.43 to 12.77)"; without the interval where there is none."""
    low, high = (figure.get(end, figure.get(f"{key}_{end}")) for end in ("low", "high"))
    value = fixed(figure[key], decimals, unit)
    if low in (None, "") or high in (None, ""):
        return value
    return f"{value} ({fixed(low, decimals, unit)} to {fixed(high, decimals, unit)})"


def with_error(figure: Mapping[str, Any], decimals: int = 4) -> str:
    """A figure and its standard error: "0.0167 ± 0.0028"."""
    return f"{fixed(figure['value'], decimals)} ± {fixed(figure['standard_error'], decimals)}"


def narrower(width: str, reference: str) -> str:
    """By how much a width is smaller than a reference, in percent."""
    return f"{(1 - float(width) / float(reference)) * 100:.1f}%"


def better_than_grey(compare: Measurement, candidate: str) -> str:
    """In which of CIEDE2000 and the error of colourfulness a candidate's interval lies below the mean of grey."""
    named = {"ciede2000": "CIEDE2000", "colourfulness_error": "colourfulness"}
    better = [
        name
        for metric, name in named.items()
        if float(compare.row(candidate=candidate, metric=metric)["high"])
        < float(compare.row(candidate="grey", metric=metric)["value"])
    ]
    return ", ".join(better) or "neither"


def grouped_digits(value: float | str) -> str:
    """A whole number with commas between thousands."""
    return f"{int(value):,}"


def make_template() -> jinja2.Template:
    """The page's template, with its filters."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / TEMPLATE.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it writes Markdown
    )
    filters: dict[str, Callable[..., str]] = {"fixed": fixed, "interval": interval, "with_error": with_error}
    environment.filters |= filters | {"commas": grouped_digits}
    return environment.get_template(TEMPLATE.name)


def make_context() -> dict[str, Any]:
    """Everything that the template shows."""
    models = read_models()
    return {
        "models": models,
        "default": models[-1],
        "released": {model.folder.name: model for model in models[:-1]},
        "calibrate": read_json(Path("reports/calibrate/metrics.json")),
        "training": read_csv(Path("reports/train/history.csv")),
        "density": read_csv(Path("reports/density/history.csv")),
        "measured": read_measurements(),
        "study": Study.read(),
        "METRICS": METRICS,
        "narrower": narrower,
        "better_than_grey": better_than_grey,
    }


def make_pages() -> dict[Path, str]:
    """Every generated page, and every page with a generated block, as it should be."""
    template, context = make_template(), make_context()
    blocks = {name: "".join(block(template.new_context(context))) for name, block in template.blocks.items()}
    pages = {PAGE: reflow(template.render(context))}
    for path in (Path("README.md"), *sorted(file.relative_to(ROOT) for file in (ROOT / "docs").rglob("*.md"))):
        text = (ROOT / path).read_text(encoding="utf-8")
        if path != PAGE and MARKED.search(text):
            pages[path] = MARKED.sub(lambda match: match[1] + block_of(blocks, match[2]) + match[3], text)
    return pages


def reflow(markdown: str) -> str:
    """Wrap paragraphs and list items at 120 characters; tables, headings, pictures and comments stay as they are."""
    blocks = re.split(r"\n{2,}", markdown.strip("\n"))
    return (
        "\n\n".join(block if block.startswith(("|", "#", "!", "<", "```")) else _wrap(block) for block in blocks) + "\n"
    )


def _wrap(block: str) -> str:
    def fill(text: str, indent: str) -> str:
        return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

    if not block.startswith("- "):
        return fill(" ".join(block.split()), "")
    return "\n".join(fill(f"- {' '.join(item.split())}", "  ") for item in re.split(r"(?:^|\n)- ", block) if item)


def block_of(blocks: Mapping[str, str], name: str) -> str:
    """A block of the template as lines of its own.

    Raises:
        ResultsError: when the template has no such block.
    """
    if name not in blocks:
        raise ResultsError(f"{TEMPLATE} has no block {name}; it has {', '.join(sorted(blocks))}")
    return f"\n{reflow(blocks[name])}\n"


def take_tables() -> None:
    """Copy the tables of the comparisons that lie in ignored folders into reports/results.

    Raises:
        ResultsError: see `beside_others`.
    """
    for name in ("compare", "compare_photos_large", "compare_open", "ablation", "families"):
        source = Path("reports") / name / "metrics.json"
        if not (ROOT / source).exists():
            print(f"{source}: not found, skipped")
            continue
        rows: list[dict[str, Any]] = [
            {"candidate": candidate, "metric": metric, **figures}
            for candidate, metrics in read_json(source)["candidates"].items()
            for metric, figures in metrics.items()
        ]
        write_csv(Path("reports/results") / f"{name}.csv", rows, keep=name == "families")
    source = Path("reports/families/families.csv")
    if (ROOT / source).exists():
        write_csv(Path("reports/results/families_bands.csv"), read_csv(source), keep=True)
    source = Path("reports/bands/bands.json")
    if not (ROOT / source).exists():
        print(f"{source}: not found, skipped")
        return
    print(f"{source}: reports/results/bands.csv has other names for its rows; copy its figures by hand")


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], keep: bool = False) -> None:
    """Write rows below the project's folder.

    Args:
        path: of the table.
        rows: keys of the first are the columns; those of a comparison have all of `CANDIDATE_COLUMNS`.
        keep: whether rows of other candidates stay, because families are trained and compared one by one.

    Raises:
        ResultsError: see `beside_others`.
    """
    rows = list(rows)
    columns = CANDIDATE_COLUMNS if "candidate" in rows[0] else tuple(rows[0])
    text = [{column: str(row.get(column, "")) for column in columns} for row in rows]
    if keep and (ROOT / path).exists():
        text = beside_others(path, text, read_csv(path))
    with (ROOT / path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(text)
    print(f"{path}: taken; bring {path.with_suffix('.json')} up to date (machine, date, commit, figures)")


def beside_others(path: Path, rows: Sequence[Row], kept: Sequence[Row]) -> list[Row]:
    """New rows in place of the same candidates' old ones, by name; grey and the tint by lightness stay first.

    Raises:
        ResultsError: when grey has another CIEDE2000: the photos are others.
    """
    key = next(iter(rows[0]))
    # No network takes part in this figure, so it is the same on every machine.
    old_grey, grey = (
        [row["value"] for row in some if row[key] == "grey" and row["metric"] == "ciede2000"] for some in (kept, rows)
    )
    if old_grey != grey:
        raise ResultsError(f"{path}: of other photos, since grey has {old_grey}, not {grey}; remove it to begin anew")
    names = {row[key] for row in rows}
    both = [*rows, *(row for row in kept if row[key] not in names)]
    return sorted(both, key=lambda row: (row[key] not in BASELINES, row[key]))


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when a page is out of date")
    parser.add_argument("--take", action="store_true", help="copy the tables of ignored report folders first")
    options = parser.parse_args()
    try:
        if options.take:
            take_tables()
        pages = make_pages()
    except (ResultsError, OSError, KeyError, jinja2.TemplateError) as error:
        raise SystemExit(f"results: {type(error).__name__}: {error}") from error
    changed = {path: text for path, text in pages.items() if read_page(path) != text}
    for path, text in changed.items():
        if options.check:
            print(f"{path}: out of date; run `make results`")
        else:
            (ROOT / path).write_text(text, encoding="utf-8")
            print(f"{path}: written")
    sys.exit(1 if options.check and changed else 0)


def read_page(path: Path) -> str:
    """A page as it is; empty where there is none."""
    return (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""


if __name__ == "__main__":
    main()

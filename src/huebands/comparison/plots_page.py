"""The plots of dvc.yaml as a page that needs no network: dvc_plots/index.html (`make plots`).

DVC's own page loads Vega from another host. Here DVC fills a template that holds Vega, Vega-Lite and Vega-Embed, as
vl-convert packs them. The pictures lie beside the page, in dvc_plots/static.
"""

import html
import sys
from collections.abc import Sequence
from pathlib import Path

from huebands.comparison.experiments import ExperimentError, run_dvc
from huebands.files import atomic

FOLDER, PAGE = Path("dvc_plots"), "index.html"
VEGA_LITE = "5.21"  # the newest release of the version that DVC's plots are written for
PLOTS = "{plot_divs}"  # DVC puts the plots here
# DVC's plots call vegaEmbed(element, plot). Of its menu only the saving of a picture works without a network.
_EMBED = """
window.vegaEmbed = (element, plot) =>
  vegaEmbed(element, plot, {actions: {export: true, source: false, compiled: false, editor: false}});
"""
# Pictures of all revisions stand beside each other.
_STYLE = "body { font-family: sans-serif; margin: 2em; } div { vertical-align: top; } img { max-width: %dvw; }"
_PICTURES = 88  # % of the window's width


def main(revisions: Sequence[str]) -> None:
    """Write the page and print its address."""
    try:
        write_page(FOLDER, revisions)
    except (ExperimentError, OSError) as error:
        raise SystemExit(f"plots: {error}") from error
    print((FOLDER / PAGE).resolve().as_uri())


def write_page(folder: Path, revisions: Sequence[str] = ()) -> None:
    """Write the page of every plot in dvc.yaml.

    Args:
        folder: of the page and its pictures, replaced as a whole.
        revisions: commits, branches and experiments, shown beside each other; with one, it is shown beside the working
            tree, and with none the working tree alone.

    Raises:
        ExperimentError: when DVC or vl-convert fails, or there is nothing to show; the folder is what it was.
        OSError: likewise, when it cannot be written.
    """
    with atomic.replace_folder(folder) as new:
        template = new / "template.html"
        atomic.write_text(template, make_template(revisions))
        command = ["plots", *(("diff", *revisions) if revisions else ("show",))]
        run_dvc(*command, "--html-template", str(template), "--out", str(new))
        if not (new / PAGE).is_file():
            raise ExperimentError(
                f"there is no plot of dvc.yaml in {' or '.join(_shown(revisions))}; run `dvc repro` first"
            )
        template.unlink()


def make_template(revisions: Sequence[str]) -> str:
    """The page without its plots, which DVC puts in the place of `PLOTS`.

    Raises:
        ExperimentError: when vl-convert is missing.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise ExperimentError("vl-convert-python is missing, which holds Vega; run `make install`") from error
    title = f"Plots of {html.escape(' and '.join(_shown(revisions)))}"
    style = _STYLE % (_PICTURES // len(_shown(revisions)))
    scripts = vl_convert.javascript_bundle(_EMBED, vl_version=VEGA_LITE)
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style><script>{scripts}</script>'
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body><h1>{title}</h1>{PLOTS}</body>\n</html>\n'


def _shown(revisions: Sequence[str]) -> Sequence[str]:
    return revisions if len(revisions) > 1 else [*revisions, "the working tree"]


if __name__ == "__main__":
    main(sys.argv[1:])

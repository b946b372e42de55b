"""Bands of another confidence: computed by the page's script, or requested from the service.

    python benchmarks/page_bands.py [--rounds 9] [--report reports/benchmarks]

One photo of 512 x 512 pixels. The page asks /explore once; its script then computes the bands of all pixels at a
confidence in headless Chromium. The alternative asks /bands for each confidence. Printed are bytes and median
milliseconds of both, which take turns on one machine.
"""

import argparse
import base64
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

import measurement
from worker_pool import CONTESTANTS, MODEL, photo, serve

CONFIDENCES = (60, 70, 80, 90)  # percent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EXPLORE = """async (bytes) => {
  const { readExploration, stepsAt } = await import("/page/exploration.js");
  const form = new FormData();
  form.append("image", new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "photo.png"));
  const answer = await fetch("explore", { method: "POST", body: form });
  const content = await answer.arrayBuffer();
  const { nestedBands, description } = await readExploration(content);
  const columns = Array.from({ length: nestedBands.width }, (_, column) => column);
  window.compute = (confidence, mode) => {
    const start = performance.now();
    const bands = nestedBands.at(stepsAt(description, confidence, mode), mode, columns);
    for (let row = 0; row < nestedBands.height; row += 1) bands.row(row);
    return performance.now() - start;
  };
  return [content.byteLength, description.stride];
}"""


def main() -> None:
    """Print bytes and milliseconds; with --report, write them too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--report", type=Path, help="folder that page_bands.json is written to")
    options = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        raise SystemExit(f"page_bands: none of {', '.join(BROWSERS)} is installed")
    content = photo()
    seconds: dict[str, list[float]] = {}
    with serve(CONTESTANTS["the project's pool"]) as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        explored, stride = page.evaluate(EXPLORE, base64.b64encode(content).decode())
        with httpx.Client(base_url=address, timeout=300) as client:
            for turn in range(options.rounds + 1):
                for mode in ("per_channel", "joint"):
                    confidence = CONFIDENCES[turn % len(CONFIDENCES)]
                    script_ms = page.evaluate(f"compute({confidence}, '{mode}')")
                    start = time.perf_counter()
                    fields = {"alpha": f"{1 - confidence / 100:.2f}", "mode": mode}
                    answer = client.post("/bands", files={"image": ("photo.png", content)}, data=fields)
                    service_ms = (time.perf_counter() - start) * 1e3
                    answer.raise_for_status()
                    if turn:  # the first turn warms up
                        seconds.setdefault(f"script_{mode}_ms", []).append(script_ms)
                        seconds.setdefault(f"service_{mode}_ms", []).append(service_ms)
        browser.close()
    figures: dict[str, Any] = {name: round(statistics.median(values)) for name, values in seconds.items()}
    figures |= {"explore_bytes": explored, "bands_bytes": len(answer.content), "stride": stride, "side": 512}
    print(figures)
    if options.report:
        note = "Medians. The page shows every pixel of this photo. The service has two colorizing processes."
        command = "python benchmarks/page_bands.py --report reports/benchmarks"
        measurement.write(options.report / "page_bands", command, figures, note=note, model=MODEL)


if __name__ == "__main__":
    main()

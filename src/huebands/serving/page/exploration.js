// A photo as the service has examined it: its pictures and the family of its bands.

import { readArchive } from "./archive.js";
import { BandFamily } from "./family.js";

/** Reads the answer of /explore.
 *
 * @returns the description, `colorized` and `grey` as canvases, and the `family` of bands.
 */
export async function readExploration(buffer) {
  const entries = await readArchive(buffer);
  const description = JSON.parse(new TextDecoder().decode(entries["exploration.json"]));
  const [colorized, grey] = await Promise.all([draw(entries["colorized.png"]), draw(entries["grey.png"])]);
  const levels = pixelsOf(grey).filter((_, index) => index % 4 === 0);
  const family = new BandFamily(description, entries["knots.bin"], pixelsOf(colorized), levels);
  return { description, colorized, grey, family };
}

/** What a confidence asks of each channel: steps of the family; null where the calibration does not support it. */
export function stepsAt(description, confidence, mode) {
  return description.steps[mode][confidence] ?? null;
}

async function draw(png) {
  const bitmap = await createImageBitmap(new Blob([png], { type: "image/png" }), { colorSpaceConversion: "none" });
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas;
}

function pixelsOf(canvas) {
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
}

// A colorized photo: its pictures and further colourings, its nested bands for every confidence, and its expected error.

import { readArchive } from "./archive.js";
import { ErrorMap } from "./error-map.js";
import { NestedBands } from "./nested-bands.js";

/** Reads the archive of /explore.
 *
 * @returns {description, colorized, grey, samples, nestedBands, errorMap}: exploration.json, two canvases, the canvases
 *   of the samples that were asked for, a NestedBands, and an ErrorMap, null where the model gives no expected error.
 */
export async function readExploration(buffer) {
  const entries = await readArchive(buffer);
  const description = JSON.parse(new TextDecoder().decode(entries["exploration.json"]));
  const [colorized, grey] = await Promise.all([draw(entries["colorized.png"]), draw(entries["grey.png"])]);
  const count = description.colourings?.outside.length ?? 0;
  const samples = await Promise.all(Array.from({ length: count }, (_, index) => draw(entries[`sample-${index + 1}.png`])));
  const levels = pixelsOf(grey).filter((_, index) => index % 4 === 0);
  const nestedBands = new NestedBands(description, entries["knots.bin"], pixelsOf(colorized), levels);
  const errorMap = description.expected_error ? new ErrorMap(description, entries["errors.bin"], levels) : null;
  return { description, colorized, grey, samples, nestedBands, errorMap };
}

/** The steps of R, G and B for a confidence; null when the calibration does not support it. */
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

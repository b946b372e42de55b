// What the page shows of one pixel: the readout, and two patches of the photo in the extreme colours of their bands.

import { drawPatches, extremesOf } from "./extremes.js";
import { Readout } from "./readout.js";
import { Scale } from "./scale.js";

export class PixelView {
  /** @param element that of the Readout, with two .patch. */
  constructor(element) {
    this.readout = new Readout(element);
    this.patches = [...element.querySelectorAll(".patch")];
  }

  /** Shows a pixel.
   *
   * @param view what is on show of the photo; its `point` is the pixel.
   * @param guarantee {steps, mode}: of the bands.
   * @param share of sRGB's colours that the pixel's 90% band holds.
   * @param byKey whether the keyboard moved the crosshair, so that a screen reader announces it.
   */
  show(view, { steps, mode }, share, byKey) {
    const { nestedBands, errorMap, description, pixels, point: { row, column } } = view;
    const pixel = row * nestedBands.width + column;
    const grey = nestedBands.grey[pixel];
    const shown = Array.from(pixels.subarray(4 * pixel, 4 * pixel + 3));
    const bounds = nestedBands.boundsOfPixel(row, column, steps, mode);
    const extremes = extremesOf(bounds, grey, shown, nestedBands.luminance);
    const certainty = errorMap === null ? describeShare(share) : describeError(errorMap.at(row, column));
    const { stride } = description;
    const gamutRange = [0, 1, 2].map((channel) => nestedBands.gamutRange(grey, channel));
    const place = { x: column * stride, y: row * stride, grey };
    this.readout.show({ ...place, shown, bounds, gamutRange, ...extremes, certainty }, byKey);
    this.wanted = () => drawPatches(view, { row, column, steps, mode, direction: extremes.direction }, this.patches);
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = undefined;
      this.wanted();
    });
  }
}

/** How certain the colour is: in words, and as a figure for those who want it. */
function describeError(error) {
  const figure = `expected error ${error.toFixed(error < 9.95 ? 1 : 0)} CIEDE2000`;
  return { words: new Scale("expected-error").inWords(error), figure };
}

function describeShare(share) {
  return { words: new Scale("width").inWords(share), figure: `the 90% band holds ${Math.round(100 * share)}% of sRGB here` };
}

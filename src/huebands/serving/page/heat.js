// Draws a map of uncertainty of a photo, by a scale that is the same for every photo and confidence.

import { stepsAt } from "./exploration.js";
import { Scale, coloursOf } from "./scale.js";
import { inSlices } from "./slices.js";

const CONFIDENCE = 90; // percent, of the bands whose widths are drawn; the highest that there is, where it is lower
const LEAST_REACH = 120; // levels: where sRGB can show less, near black and white, all colours are alike

export class HeatMap {
  /**
   * @param canvas that is drawn on.
   * @param onLevels called with the levels of all pixels, a Uint8Array, and their Scale, when a map is drawn.
   */
  constructor(canvas, onLevels) {
    this.canvas = canvas;
    this.onLevels = onLevels;
    this.drawing = 0;
  }

  /** Prepares for another photo, or for other hints. */
  explore({ nestedBands, errorMap, description }) {
    this.drawing += 1;
    this.nestedBands = nestedBands;
    this.errorMap = errorMap;
    this.drawn = null;
    delete this.canvas.dataset.drawn;
    const { width, height } = nestedBands;
    // A canvas that is set to a size is empty: where the size stays, so does the map until the next one is drawn.
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.colours = coloursOf(description.tables.heat);
    this.reach = Float32Array.from({ length: 256 }, (_, grey) => Math.max(reachOf(nestedBands, grey), LEAST_REACH));
    this.steps = stepsAt(description, confidenceOfWidths(description), "per_channel");
  }

  /** Draws a map, "width" or "expected-error", unless it is drawn already; a later call ends an earlier one. */
  async draw(map) {
    if (map === this.drawn) return;
    this.drawn = map;
    delete this.canvas.dataset.drawn;
    this.drawing += 1;
    const drawing = this.drawing;
    const { width, height } = this.nestedBands;
    const scale = new Scale(map);
    const levels = new Uint8Array(width * height);
    const fillRow = map === "expected-error" ? this.#errorsInto(levels, scale) : this.#sharesInto(levels, scale);
    if (!(await inSlices(height, fillRow, () => drawing === this.drawing))) return;
    this.#show(levels);
    this.canvas.dataset.drawn = map;
    this.onLevels(levels, scale);
  }

  /** The share of what sRGB can show that the band of one pixel holds. */
  shareAt(row, column) {
    const pixel = row * this.nestedBands.width + column;
    return this.#share(this.nestedBands.boundsOfPixel(row, column, this.steps, "per_channel"), 0, pixel);
  }

  #errorsInto(levels, scale) {
    const { errorMap } = this;
    return (row) => {
      for (let column = 0, pixel = row * errorMap.width; column < errorMap.width; column += 1, pixel += 1) {
        levels[pixel] = scale.level(errorMap.at(row, column));
      }
    };
  }

  #sharesInto(levels, scale) {
    const { width } = this.nestedBands;
    const bands = this.nestedBands.at(this.steps, "per_channel", Array.from({ length: width }, (_, column) => column));
    return (row) => {
      const bounds = bands.row(row);
      for (let column = 0, pixel = row * width; column < width; column += 1, pixel += 1) {
        levels[pixel] = scale.level(this.#share(bounds, 6 * column, pixel));
      }
    };
  }

  #share(bounds, index, pixel) {
    const total = bounds[index + 1] - bounds[index] + bounds[index + 3] - bounds[index + 2] + bounds[index + 5] - bounds[index + 4];
    return total / this.reach[this.nestedBands.grey[pixel]];
  }

  #show(levels) {
    const { width, height } = this.nestedBands;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let pixel = 0; pixel < levels.length; pixel += 1) pixels[pixel] = this.colours[levels[pixel]];
    this.canvas.getContext("2d").putImageData(image, 0, 0);
  }
}

/** The levels that sRGB can show at a grey, of all channels together. */
function reachOf(nestedBands, grey) {
  return [0, 1, 2].reduce((sum, channel) => {
    const [lowest, highest] = nestedBands.gamutRange(grey, channel);
    return sum + highest - lowest;
  }, 0);
}

/** The confidence of the bands whose widths are drawn, percent. */
export function confidenceOfWidths({ steps }) {
  return Math.min(CONFIDENCE, Math.max(...Object.keys(steps.per_channel).map(Number)));
}

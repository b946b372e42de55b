// The expected error of huebands.conformal.error_map, equal to the bit: the same operations in float32.

import { interpolate } from "./nested-bands.js";

const f = Math.fround;

export class ErrorMap {
  /**
   * @param exploration the content of exploration.json.
   * @param errors the bytes of errors.bin.
   */
  constructor({ width, height, stride, expected_error: { samples: [rows, columns], top } }, errors) {
    this.samples = new Float32Array(errors.slice().buffer);
    this.width = Math.ceil(width / stride);
    this.height = Math.ceil(height / stride);
    this.top = top;
    this.sampleColumns = columns;
    const positions = (count) => Array.from({ length: count }, (_, i) => i * stride);
    this.rows = interpolate(rows, height, positions(this.height));
    this.columns = interpolate(columns, width, positions(this.width));
  }

  /** The expected error of one pixel, in CIEDE2000. */
  at(row, column) {
    const { rows } = this;
    const above = f(this.#inRow(rows.before[row], column) * rows.complement[row]);
    return f(above + f(this.#inRow(rows.after[row], column) * rows.weight[row]));
  }

  /** The level of the heat map's colours at one pixel, 0 to 255. */
  level(row, column) {
    return Math.min(Math.floor(f(f(this.at(row, column) * f(255 / this.top)) + f(0.5))), 255);
  }

  #inRow(row, column) {
    const { columns, samples } = this;
    const start = row * this.sampleColumns;
    const left = f(samples[start + columns.before[column]] * columns.complement[column]);
    return f(left + f(samples[start + columns.after[column]] * columns.weight[column]));
  }
}

/** What an expected error means, in a few words. */
export function inWords(error) {
  if (error < 2) return "hardly visible";
  if (error < 5) return "visible side by side";
  if (error < 10) return "another shade";
  if (error < 20) return "maybe another colour";
  return "a guess";
}

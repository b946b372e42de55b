// The expected error of huebands.conformal.error_map, equal to the bit: the same operations in float32.

import { interpolate } from "./nested-bands.js";

const f = Math.fround;

export class ErrorMap {
  /**
   * @param exploration the content of exploration.json.
   * @param errors the bytes of errors.bin.
   * @param grey the grey levels of the pixels shown, one byte each.
   */
  constructor({ width, height, stride, expected_error: { levels, samples: [rows, columns] } }, errors, grey) {
    this.samples = new Float32Array(errors.slice().buffer);
    this.grey = grey;
    this.width = Math.ceil(width / stride);
    this.height = Math.ceil(height / stride);
    this.sampleRows = rows;
    this.sampleColumns = columns;
    this.#readLevels(levels);
    const positions = (count) => Array.from({ length: count }, (_, i) => i * stride);
    this.rows = interpolate(rows, height, positions(this.height));
    this.columns = interpolate(columns, width, positions(this.width));
  }

  /** The expected error of one pixel, in CIEDE2000. */
  at(row, column) {
    const grey = this.grey[row * this.width + column];
    const level = this.levelBefore[grey];
    const darker = f(this.#atLevel(level, row, column) * this.levelComplement[grey]);
    return f(darker + f(this.#atLevel(level + 1, row, column) * this.levelWeight[grey]));
  }

  /** For each grey level: the place of the one before it in `levels`, and the weights of it and of the next one. */
  #readLevels(levels) {
    this.levelBefore = new Uint8Array(256);
    this.levelWeight = new Float32Array(256);
    this.levelComplement = new Float32Array(256);
    for (let grey = 0, level = 0; grey < 256; grey += 1) {
      if (level < levels.length - 2 && grey >= levels[level + 1]) level += 1;
      this.levelBefore[grey] = level;
      this.levelWeight[grey] = (grey - levels[level]) / (levels[level + 1] - levels[level]);
      this.levelComplement[grey] = 1 - this.levelWeight[grey];
    }
  }

  #atLevel(level, row, column) {
    const { rows } = this;
    const first = level * this.sampleRows;
    const above = f(this.#inRow(first + rows.before[row], column) * rows.complement[row]);
    return f(above + f(this.#inRow(first + rows.after[row], column) * rows.weight[row]));
  }

  #inRow(row, column) {
    const { columns, samples } = this;
    const start = row * this.sampleColumns;
    const left = f(samples[start + columns.before[column]] * columns.complement[column]);
    return f(left + f(samples[start + columns.after[column]] * columns.weight[column]));
  }
}

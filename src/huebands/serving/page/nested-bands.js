// The nested bands of huebands.conformal.bands, equal to the bit: the same operations in float32, in the same order.

import { Luminance } from "./luminance.js";

const f = Math.fround;
const CHANNELS = 3;

/** Linear interpolation along one axis: the samples before and after each position, and the weights of both. */
export function interpolate(samples, size, positions) {
  const count = positions.length;
  const before = new Int32Array(count);
  const after = new Int32Array(count);
  const weight = new Float32Array(count);
  const complement = new Float32Array(count);
  positions.forEach((position, i) => {
    const center = Math.min(Math.max((position + 0.5) * (samples / size) - 0.5, 0), samples - 1);
    before[i] = Math.min(Math.floor(center), Math.max(samples - 2, 0));
    after[i] = Math.min(before[i] + 1, samples - 1);
    weight[i] = center - before[i];
    complement[i] = f(1 - weight[i]);
  });
  return { before, after, weight, complement };
}

export class NestedBands {
  /**
   * @param exploration the content of exploration.json.
   * @param knots the bytes of knots.bin.
   * @param shown RGBA of the colorized photo.
   * @param grey its grey levels, one byte a pixel.
   */
  constructor(exploration, knots, shown, grey) {
    const { stride, samples: [rows, columns], tables } = exploration;
    this.shown = shown;
    this.grey = grey;
    this.stride = stride;
    this.photoSize = { width: exploration.width, height: exploration.height };
    this.width = Math.ceil(exploration.width / stride);
    this.height = Math.ceil(exploration.height / stride);
    this.knots = exploration.knots;
    this.samples = { rows, columns };
    this.luminance = new Luminance(tables);
    this.#readSpans(tables.gamut);
    this.#readKnots(knots);
  }

  /** The bands at some steps, which are computed row by row.
   *
   * @param steps of the nested bands, for R, G and B.
   * @param mode "per_channel" or "joint".
   * @param columns whose bounds are computed, ascending.
   */
  at(steps, mode, columns) {
    return new Bands(this, steps, mode, columns);
  }

  /** The bounds of one pixel: Uint8Array(6). */
  boundsOfPixel(row, column, steps, mode) {
    return this.at(steps, mode, [column]).row(row);
  }

  /** The values that sRGB can show at a grey level: [lowest, highest] of a channel. */
  gamutRange(grey, channel) {
    return [grey - this.below[channel][grey], grey + this.above[channel][grey]];
  }

  #readSpans(gamut) {
    const span = (channel, side) =>
      Float32Array.from({ length: 256 }, (_, grey) => {
        const end = gamut[(grey * CHANNELS + channel) * 2 + side];
        return Math.max(side === 0 ? grey - end : end - grey, 0);
      });
    this.below = [0, 1, 2].map((channel) => span(channel, 0));
    this.above = [0, 1, 2].map((channel) => span(channel, 1));
  }

  /** All low bytes come before all high ones; the ends are multiples of 1 / parts, exact in float32. */
  #readKnots(bytes) {
    const { count, parts } = this.knots;
    const size = this.samples.rows * this.samples.columns;
    const half = bytes.length / 2;
    const plane = (index) => {
      const values = new Float32Array(size);
      for (let i = 0, offset = index * size; i < size; i += 1, offset += 1) {
        values[i] = (((bytes[offset] | (bytes[half + offset] << 8)) << 16) >> 16) / parts; // the sign is in bit 15
      }
      return values;
    };
    const side = (start) =>
      Array.from({ length: count }, (_, knot) => [0, 1, 2].map((c) => plane((start + knot) * CHANNELS + c)));
    this.lower = side(0);
    this.upper = side(count);
  }
}

class Bands {
  constructor(nestedBands, steps, mode, columns) {
    this.nestedBands = nestedBands;
    this.mode = mode;
    this.columns = Int32Array.from(columns);
    const { samples, photoSize, stride } = nestedBands;
    this.weights = interpolate(samples.columns, photoSize.width, this.columns.map((column) => column * stride));
    this.bounds = new Uint8Array(2 * CHANNELS * this.columns.length);
    const { first, count, steps_per_knot: perKnot } = nestedBands.knots;
    this.channels = Array.from(steps, (step, channel) => {
      const knot = Math.floor(step / perKnot) - first;
      const next = Math.min(knot + 1, count - 1);
      const { lower, upper } = nestedBands;
      const planes = [lower[knot], lower[next], upper[knot], upper[next]];
      return { fraction: f((step % perKnot) / perKnot), ends: planes.map((plane) => this.#lines(plane[channel])) };
    });
  }

  /** The bounds at the columns of a row: lower and upper of R, G and B, 6 bytes a pixel; the next call overwrites them. */
  row(row) {
    const { nestedBands } = this;
    const rows = interpolate(nestedBands.samples.rows, nestedBands.photoSize.height, [row * nestedBands.stride]);
    for (let channel = 0; channel < CHANNELS; channel += 1) this.#fill(row, channel, rows);
    if (this.mode === "joint") this.#tighten(row);
    return this.bounds;
  }

  #fill(row, channel, rows) {
    const { columns, bounds } = this;
    const { shown, grey, width } = this.nestedBands;
    const { fraction, ends } = this.channels[channel];
    const [lowerStart, lowerEnd, upperStart, upperEnd] = ends.map((lines) => lines(rows.before[0]));
    const [lowerStart2, lowerEnd2, upperStart2, upperEnd2] = ends.map((lines) => lines(rows.after[0]));
    const w = rows.weight[0];
    const r = rows.complement[0];
    const below = this.nestedBands.below[channel];
    const above = this.nestedBands.above[channel];
    for (let i = 0, index = 2 * channel; i < columns.length; i += 1, index += 2 * CHANNELS) {
      const ls = f(f(lowerStart[i] * r) + f(lowerStart2[i] * w));
      const le = f(f(lowerEnd[i] * r) + f(lowerEnd2[i] * w));
      const us = f(f(upperStart[i] * r) + f(upperStart2[i] * w));
      const ue = f(f(upperEnd[i] * r) + f(upperEnd2[i] * w));
      const pixel = row * width + columns[i];
      const level = grey[pixel];
      const lower = decode(f(ls + f(fraction * f(le - ls))), level, below[level], above[level]);
      const upper = decode(f(us + f(fraction * f(ue - us))), level, below[level], above[level]);
      const value = shown[4 * pixel + channel];
      bounds[index] = Math.min(Math.floor(lower), value);
      bounds[index + 1] = Math.max(Math.ceil(upper), value);
    }
  }

  #tighten(row) {
    const { columns, bounds } = this;
    const { shown, grey, width, luminance } = this.nestedBands;
    for (let i = 0, index = 0; i < columns.length; i += 1) {
      const pixel = row * width + columns[i];
      luminance.propagate(bounds, index, grey[pixel]);
      for (let channel = 0; channel < CHANNELS; channel += 1, index += 2) {
        const value = shown[4 * pixel + channel];
        bounds[index] = Math.min(bounds[index], value);
        bounds[index + 1] = Math.max(bounds[index + 1], value);
      }
    }
  }

  /** Makes a function that interpolates a row of samples at the columns; it caches the last two rows. */
  #lines(plane) {
    const { before, after, weight, complement } = this.weights;
    const width = this.nestedBands.samples.columns;
    const cache = [0, 1].map(() => ({ row: -1, line: new Float32Array(before.length) }));
    return (row) => {
      const cached = cache[row % 2];
      if (cached.row !== row) {
        cached.row = row;
        const start = row * width;
        for (let i = 0; i < before.length; i += 1) {
          cached.line[i] = f(f(plane[start + before[i]] * complement[i]) + f(plane[start + after[i]] * weight[i]));
        }
      }
      return cached.line;
    };
  }
}

/** The value in 8-bit levels at a position in [-1, 1], as density.coordinate does. */
function decode(position, grey, below, above) {
  const size = f(Math.abs(position));
  const s = f(size * f(Math.sqrt(size)));
  return position > 0 ? f(grey + f(s * above)) : f(grey + f(-s * below));
}

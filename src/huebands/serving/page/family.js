// The nested bands of huebands.conformal.bands, to the bit: each operation is rounded to float32, in the same order.

import { Luminance } from "./luminance.js";

const f = Math.fround;
const CHANNELS = 3;

/** Samples before and after each place on one axis, and the weights of both. */
function weigh(samples, size, places) {
  const count = places.length;
  const before = new Int32Array(count);
  const after = new Int32Array(count);
  const weight = new Float32Array(count);
  const rest = new Float32Array(count);
  places.forEach((place, i) => {
    const center = Math.min(Math.max((place + 0.5) * (samples / size) - 0.5, 0), samples - 1);
    before[i] = Math.min(Math.floor(center), Math.max(samples - 2, 0));
    after[i] = Math.min(before[i] + 1, samples - 1);
    weight[i] = center - before[i];
    rest[i] = f(1 - weight[i]);
  });
  return { before, after, weight, rest };
}

export class BandFamily {
  /**
   * @param exploration what exploration.json says.
   * @param knots bytes of knots.bin.
   * @param shown RGBA of the colorized photo.
   * @param grey its grey levels, one byte a pixel.
   */
  constructor(exploration, knots, shown, grey) {
    const { stride, samples: [rows, columns], tables } = exploration;
    this.shown = shown;
    this.grey = grey;
    this.stride = stride;
    this.whole = { width: exploration.width, height: exploration.height };
    this.width = Math.ceil(exploration.width / stride);
    this.height = Math.ceil(exploration.height / stride);
    this.knots = exploration.knots;
    this.samples = { rows, columns };
    this.luminance = new Luminance(tables);
    this.#readSpans(tables.gamut);
    this.#readKnots(knots);
  }

  /** The bands at a step, to be asked for row by row.
   *
   * @param steps of the family, for R, G and B.
   * @param mode "per_channel" or "joint".
   * @param columns that are wanted, rising.
   */
  at(steps, mode, columns) {
    return new Bands(this, steps, mode, columns);
  }

  /** The bounds of one pixel: Uint8Array(6). */
  ofPixel(row, column, steps, mode) {
    return this.at(steps, mode, [column]).row(row);
  }

  /** What sRGB can show at a grey level: [lowest, highest] of a channel. */
  reach(grey, channel) {
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

  /** Low bytes stand before high ones; ends are whole parts, exact in float32. */
  #readKnots(bytes) {
    const { count, parts } = this.knots;
    const size = this.samples.rows * this.samples.columns;
    const half = bytes.length / 2;
    const plane = (index) => {
      const values = new Float32Array(size);
      for (let i = 0, at = index * size; i < size; i += 1, at += 1) {
        values[i] = (((bytes[at] | (bytes[half + at] << 8)) << 16) >> 16) / parts; // the sign is in bit 15
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
  constructor(family, steps, mode, columns) {
    this.family = family;
    this.mode = mode;
    this.columns = Int32Array.from(columns);
    this.weights = weigh(family.samples.columns, family.whole.width, this.columns.map((at) => at * family.stride));
    this.bounds = new Uint8Array(2 * CHANNELS * this.columns.length);
    const { first, count, steps_per_knot: perKnot } = family.knots;
    this.channels = Array.from(steps, (step, channel) => {
      const knot = Math.floor(step / perKnot) - first;
      const next = Math.min(knot + 1, count - 1);
      const planes = [family.lower[knot], family.lower[next], family.upper[knot], family.upper[next]];
      return { part: f((step % perKnot) / perKnot), ends: planes.map((of) => this.#lines(of[channel])) };
    });
  }

  /** The bounds at the wanted columns of a row: lower and upper of R, G and B, 6 bytes a pixel; written over later. */
  row(row) {
    const { family } = this;
    const place = weigh(family.samples.rows, family.whole.height, [row * family.stride]);
    for (let channel = 0; channel < CHANNELS; channel += 1) this.#fill(row, channel, place);
    if (this.mode === "joint") this.#tighten(row);
    return this.bounds;
  }

  #fill(row, channel, place) {
    const { columns, bounds } = this;
    const { shown, grey, width } = this.family;
    const { part, ends } = this.channels[channel];
    const [lowerStart, lowerEnd, upperStart, upperEnd] = ends.map((lines) => lines(place.before[0]));
    const [lowerStart2, lowerEnd2, upperStart2, upperEnd2] = ends.map((lines) => lines(place.after[0]));
    const w = place.weight[0];
    const r = place.rest[0];
    const below = this.family.below[channel];
    const above = this.family.above[channel];
    for (let i = 0, at = 2 * channel; i < columns.length; i += 1, at += 2 * CHANNELS) {
      const ls = f(f(lowerStart[i] * r) + f(lowerStart2[i] * w));
      const le = f(f(lowerEnd[i] * r) + f(lowerEnd2[i] * w));
      const us = f(f(upperStart[i] * r) + f(upperStart2[i] * w));
      const ue = f(f(upperEnd[i] * r) + f(upperEnd2[i] * w));
      const pixel = row * width + columns[i];
      const level = grey[pixel];
      const lower = decode(f(ls + f(part * f(le - ls))), level, below[level], above[level]);
      const upper = decode(f(us + f(part * f(ue - us))), level, below[level], above[level]);
      const value = shown[4 * pixel + channel];
      bounds[at] = Math.min(Math.floor(lower), value);
      bounds[at + 1] = Math.max(Math.ceil(upper), value);
    }
  }

  #tighten(row) {
    const { columns, bounds } = this;
    const { shown, grey, width, luminance } = this.family;
    for (let i = 0, at = 0; i < columns.length; i += 1) {
      const pixel = row * width + columns[i];
      luminance.propagate(bounds, at, grey[pixel]);
      for (let channel = 0; channel < CHANNELS; channel += 1, at += 2) {
        const value = shown[4 * pixel + channel];
        bounds[at] = Math.min(bounds[at], value);
        bounds[at + 1] = Math.max(bounds[at + 1], value);
      }
    }
  }

  /** Gives a function from a row of samples to its ends at the wanted columns; it keeps the last two rows. */
  #lines(plane) {
    const { before, after, weight, rest } = this.weights;
    const width = this.family.samples.columns;
    const kept = [0, 1].map(() => ({ row: -1, line: new Float32Array(before.length) }));
    return (row) => {
      const place = kept[row % 2];
      if (place.row !== row) {
        place.row = row;
        const start = row * width;
        for (let i = 0; i < before.length; i += 1) {
          place.line[i] = f(f(plane[start + before[i]] * rest[i]) + f(plane[start + after[i]] * weight[i]));
        }
      }
      return place.line;
    };
  }
}

/** The value in 8-bit levels at a position in [-1, 1], as density.positions.decode_channel has it. */
function decode(position, grey, below, above) {
  const size = f(Math.abs(position));
  const s = f(size * f(Math.sqrt(size)));
  return position > 0 ? f(grey + f(s * above)) : f(grey + f(-s * below));
}

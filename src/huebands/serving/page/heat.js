// Draws a map of uncertainty. Widths change with the confidence: they are measured quickly at few pixels, then at all of
// them unless a newer drawing begins. The expected error does not change.

const QUICK = 120_000; // pixels that take a few milliseconds
const SLICE = 12; // milliseconds of work between two pauses for the events of the page

export class HeatMap {
  /**
   * @param canvas that is drawn on.
   * @param onMean called with the mean width over pixels and channels, 8-bit levels, and whether it is over all pixels.
   */
  constructor(canvas, onMean) {
    this.canvas = canvas;
    this.onMean = onMean;
    this.drawing = 0;
  }

  /** Prepares for another photo, or for other hints. */
  explore({ nestedBands, errorMap, description }) {
    this.nestedBands = nestedBands;
    this.errorMap = errorMap;
    this.showsErrors = false;
    const { width, height } = nestedBands;
    // A canvas that is set to a size is empty: where the size stays, so does the map until the next one is drawn.
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const heat = description.tables.heat;
    this.levels = Uint32Array.from({ length: 256 }, (_, level) => {
      const bytes = Uint8Array.of(heat[3 * level], heat[3 * level + 1], heat[3 * level + 2], 255);
      return new Uint32Array(bytes.buffer)[0];
    });
    // Each channel's width is whole, so their sum, in 0..765, gives the colour of the mean.
    this.colours = Uint32Array.from({ length: 3 * 255 + 1 }, (_, sum) => this.levels[Math.round(sum / 3)]);
  }

  /** Measures the widths at these steps, and draws a map, "width" or "expected-error"; a later call ends an earlier one. */
  async draw(steps, mode, map) {
    this.drawing += 1;
    const drawing = this.drawing;
    this.map = map;
    if (map === "expected-error" && !this.showsErrors) this.#drawErrors();
    this.showsErrors = map === "expected-error";
    const { width, height } = this.nestedBands;
    const stride = Math.ceil(Math.sqrt((width * height) / QUICK));
    await this.#pass(steps, mode, stride, drawing);
    if (stride > 1 && drawing === this.drawing) await this.#pass(steps, mode, 1, drawing);
  }

  async #pass(steps, mode, stride, drawing) {
    const columns = Math.ceil(this.nestedBands.width / stride);
    const bands = this.nestedBands.at(steps, mode, Array.from({ length: columns }, (_, i) => i * stride));
    const rows = Math.ceil(this.nestedBands.height / stride);
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    let total = 0;
    let end = performance.now() + SLICE;
    for (let row = 0; row < rows; row += 1) {
      total += this.#colourRow(bands.row(row * stride), pixels, row * columns, columns);
      if (stride === 1 && performance.now() > end) {
        await new Promise((resolve) => setTimeout(resolve));
        if (drawing !== this.drawing) return;
        end = performance.now() + SLICE;
      }
    }
    if (this.map === "width") this.#show(image, stride);
    this.onMean(total / (3 * columns * rows), stride === 1);
  }

  #drawErrors() {
    const { width, height } = this.errorMap;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let row = 0, pixel = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1, pixel += 1) {
        pixels[pixel] = this.levels[this.errorMap.level(row, column)];
      }
    }
    this.#show(image, 1);
  }

  #colourRow(bounds, pixels, start, columns) {
    let total = 0;
    for (let i = 0, b = 0; i < columns; i += 1, b += 6) {
      const sum = bounds[b + 1] - bounds[b] + bounds[b + 3] - bounds[b + 2] + bounds[b + 5] - bounds[b + 4];
      pixels[start + i] = this.colours[sum];
      total += sum;
    }
    return total;
  }

  #show(image, stride) {
    const context = this.canvas.getContext("2d");
    if (stride === 1) {
      context.putImageData(image, 0, 0);
      return;
    }
    const reduced = document.createElement("canvas");
    reduced.width = image.width;
    reduced.height = image.height;
    reduced.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(reduced, 0, 0, image.width * stride, image.height * stride);
  }
}

/** Draws the colours of a map, one pixel a level. */
export function drawScale(canvas, heat) {
  const image = new ImageData(256, 1);
  for (let level = 0; level < 256; level += 1) {
    image.data.set([heat[3 * level], heat[3 * level + 1], heat[3 * level + 2], 255], 4 * level);
  }
  canvas.width = 256;
  canvas.height = 1;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Draws the map of band widths: at once at few pixels, then at all of them unless a newer drawing begins.

const QUICK = 120_000; // pixels that take a few milliseconds
const SLICE = 12; // milliseconds of work between two pauses for the events of the page

export class HeatMap {
  /**
   * @param canvas that is drawn on.
   * @param onMean called with the mean width over pixels and channels, 8-bit levels, and whether all pixels count in.
   */
  constructor(canvas, onMean) {
    this.canvas = canvas;
    this.onMean = onMean;
    this.drawing = 0;
  }

  /** Prepares for another photo. */
  explore({ nestedBands, description }) {
    this.nestedBands = nestedBands;
    this.canvas.width = nestedBands.width;
    this.canvas.height = nestedBands.height;
    const heat = description.tables.heat;
    // Each channel's width is whole, so their sum, in 0..765, gives the colour of the mean.
    this.colours = Uint32Array.from({ length: 3 * 255 + 1 }, (_, sum) => {
      const at = 3 * Math.round(sum / 3);
      return new Uint32Array(Uint8Array.of(heat[at], heat[at + 1], heat[at + 2], 255).buffer)[0];
    });
  }

  /** Draws the widths at these steps; a later call ends an earlier one. */
  async draw(steps, mode) {
    this.drawing += 1;
    const drawing = this.drawing;
    const { width, height } = this.nestedBands;
    const every = Math.ceil(Math.sqrt((width * height) / QUICK));
    await this.#pass(steps, mode, every, drawing);
    if (every > 1 && drawing === this.drawing) await this.#pass(steps, mode, 1, drawing);
  }

  async #pass(steps, mode, every, drawing) {
    const columns = Math.ceil(this.nestedBands.width / every);
    const bands = this.nestedBands.at(steps, mode, Array.from({ length: columns }, (_, i) => i * every));
    const rows = Math.ceil(this.nestedBands.height / every);
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    let total = 0;
    let end = performance.now() + SLICE;
    for (let row = 0; row < rows; row += 1) {
      total += this.#colourRow(bands.row(row * every), pixels, row * columns, columns);
      if (every === 1 && performance.now() > end) {
        await new Promise((resolve) => setTimeout(resolve));
        if (drawing !== this.drawing) return;
        end = performance.now() + SLICE;
      }
    }
    this.#show(image, every);
    this.onMean(total / (3 * columns * rows), every === 1);
  }

  #colourRow(bounds, pixels, at, columns) {
    let total = 0;
    for (let i = 0, b = 0; i < columns; i += 1, b += 6) {
      const sum = bounds[b + 1] - bounds[b] + bounds[b + 3] - bounds[b + 2] + bounds[b + 5] - bounds[b + 4];
      pixels[at + i] = this.colours[sum];
      total += sum;
    }
    return total;
  }

  #show(image, every) {
    const context = this.canvas.getContext("2d");
    if (every === 1) {
      context.putImageData(image, 0, 0);
      return;
    }
    const small = document.createElement("canvas");
    small.width = image.width;
    small.height = image.height;
    small.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(small, 0, 0, image.width * every, image.height * every);
  }
}

/** Draws the scale from 0 to 255 levels, one pixel a level. */
export function drawScale(canvas, heat) {
  const image = new ImageData(256, 1);
  for (let level = 0; level < 256; level += 1) {
    image.data.set([heat[3 * level], heat[3 * level + 1], heat[3 * level + 2], 255], 4 * level);
  }
  canvas.width = 256;
  canvas.height = 1;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

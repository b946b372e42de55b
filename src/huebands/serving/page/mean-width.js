// Measures the mean width of the bands at a confidence: quickly at few pixels, then at all of them.

import { inSlices } from "./slices.js";

const QUICK = 120_000; // pixels that take a few milliseconds

export class MeanWidth {
  /** @param onMean called with the mean over pixels and channels, 8-bit levels, and whether it is over all pixels. */
  constructor(onMean) {
    this.onMean = onMean;
    this.measuring = 0;
  }

  /** Measures the bands at these steps; a later call ends an earlier one. */
  async measure(nestedBands, steps, mode) {
    this.measuring += 1;
    const measuring = this.measuring;
    const isWanted = () => measuring === this.measuring;
    const stride = Math.ceil(Math.sqrt((nestedBands.width * nestedBands.height) / QUICK));
    for (const step of stride > 1 ? [stride, 1] : [1]) {
      const mean = await meanOf(nestedBands, steps, mode, step, isWanted);
      if (!isWanted()) return;
      this.onMean(mean, step === 1);
    }
  }
}

async function meanOf(nestedBands, steps, mode, stride, isWanted) {
  const columns = Math.ceil(nestedBands.width / stride);
  const rows = Math.ceil(nestedBands.height / stride);
  const bands = nestedBands.at(steps, mode, Array.from({ length: columns }, (_, i) => i * stride));
  let total = 0;
  await inSlices(rows, (row) => { total += widthsOf(bands.row(row * stride)); }, isWanted);
  return total / (3 * columns * rows);
}

function widthsOf(bounds) {
  let total = 0;
  for (let b = 0; b < bounds.length; b += 2) total += bounds[b + 1] - bounds[b];
  return total;
}

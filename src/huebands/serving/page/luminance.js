// The luminance constraint of huebands.conformal.luminance, equal to the bit: bounds on two channels bound the third.

export class Luminance {
  constructor(tables) {
    this.linear = Float64Array.from(tables.linear);
    this.weights = tables.luminance_weights;
    const slack = tables.luminance_slack;
    this.lowest = Float64Array.from([-Infinity, ...tables.luminance_edges], (edge) => edge - slack);
    this.highest = Float64Array.from([...tables.luminance_edges, Infinity], (edge) => edge + slack);
  }

  /** Tightens [lower R, upper R, lower G, upper G, lower B, upper B], which start at `index` of `bounds`, in place. */
  propagate(bounds, index, grey) {
    const { linear, weights: [red, green, blue] } = this;
    const lowest = this.lowest[grey];
    const highest = this.highest[grey];
    for (let changed = true; changed; ) {
      const lowR = linear[bounds[index]] * red;
      const lowG = linear[bounds[index + 2]] * green;
      const lowB = linear[bounds[index + 4]] * blue;
      const highR = linear[bounds[index + 1]] * red;
      const highG = linear[bounds[index + 3]] * green;
      const highB = linear[bounds[index + 5]] * blue;
      const low = lowR + lowG + lowB;
      const high = highR + highG + highB;
      const changedR = this.#tighten(bounds, index, (lowest - (high - highR)) / red, (highest - (low - lowR)) / red);
      const changedG = this.#tighten(bounds, index + 2, (lowest - (high - highG)) / green, (highest - (low - lowG)) / green);
      const changedB = this.#tighten(bounds, index + 4, (lowest - (high - highB)) / blue, (highest - (low - lowB)) / blue);
      changed = changedR || changedG || changedB;
    }
  }

  /** The green that red and blue need at a grey level: the nearest level, -1 or 256 where there is none. */
  greenOf(grey, red, blue) {
    const { linear, weights } = this;
    const [redWeight, greenWeight, blueWeight] = weights;
    const whole = linear[grey] * (redWeight + greenWeight + blueWeight);
    const needed = (whole - redWeight * linear[red] - blueWeight * linear[blue]) / greenWeight;
    if (needed < 0) return -1;
    if (needed > linear[255]) return 256;
    let [level, end] = [0, 255];
    while (level < end) {
      const middle = (level + end) >> 1;
      if (linear[middle] < needed) level = middle + 1;
      else end = middle;
    }
    return level > 0 && needed - linear[level - 1] < linear[level] - needed ? level - 1 : level;
  }

  #tighten(bounds, index, below, above) {
    const { linear } = this;
    let lower = bounds[index];
    let upper = bounds[index + 1];
    while (lower < 255 && linear[lower] < below) lower += 1;
    while (upper > 0 && linear[upper] > above) upper -= 1;
    if (lower === bounds[index] && upper === bounds[index + 1]) return false;
    bounds[index] = lower;
    bounds[index + 1] = upper;
    return true;
  }
}

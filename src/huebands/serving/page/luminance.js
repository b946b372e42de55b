// The luminance constraint of huebands.conformal.luminance, equal to the bit: bounds on two channels bound the third.

export class Luminance {
  constructor(tables) {
    this.linear = Float64Array.from(tables.linear);
    this.weights = tables.luminance_weights;
    const slack = tables.luminance_slack;
    this.lowest = Float64Array.from([-Infinity, ...tables.luminance_edges], (edge) => edge - slack);
    this.highest = Float64Array.from([...tables.luminance_edges, Infinity], (edge) => edge + slack);
  }

  /** Tightens [lower R, upper R, lower G, upper G, lower B, upper B], which start at an index of `bounds`, in place. */
  propagate(bounds, at, grey) {
    const { linear, weights: [red, green, blue] } = this;
    const lowest = this.lowest[grey];
    const highest = this.highest[grey];
    for (let moved = true; moved; ) {
      const lowR = linear[bounds[at]] * red;
      const lowG = linear[bounds[at + 2]] * green;
      const lowB = linear[bounds[at + 4]] * blue;
      const highR = linear[bounds[at + 1]] * red;
      const highG = linear[bounds[at + 3]] * green;
      const highB = linear[bounds[at + 5]] * blue;
      const low = lowR + lowG + lowB;
      const high = highR + highG + highB;
      const movedR = this.#tighten(bounds, at, (lowest - (high - highR)) / red, (highest - (low - lowR)) / red);
      const movedG = this.#tighten(bounds, at + 2, (lowest - (high - highG)) / green, (highest - (low - lowG)) / green);
      const movedB = this.#tighten(bounds, at + 4, (lowest - (high - highB)) / blue, (highest - (low - lowB)) / blue);
      moved = movedR || movedG || movedB;
    }
  }

  #tighten(bounds, at, below, above) {
    const { linear } = this;
    let lower = bounds[at];
    let upper = bounds[at + 1];
    while (lower < 255 && linear[lower] < below) lower += 1;
    while (upper > 0 && linear[upper] > above) upper -= 1;
    if (lower === bounds[at] && upper === bounds[at + 1]) return false;
    bounds[at] = lower;
    bounds[at + 1] = upper;
    return true;
  }
}

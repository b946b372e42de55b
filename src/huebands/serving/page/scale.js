// The scales of the maps of uncertainty: each is one for all photos and does not depend on the confidence.
// Dark is sure and bright is a guess. Most pixels of most photos lie in a narrow range, so a scale is not linear: values
// that are frequent are spread over many colours. The places are near the shares of the pixels with smaller values, in
// 126 validation photos of the model photos-large.

const SCALES = {
  // CIEDE2000. A photo that is left grey is 11 to 14 off on average, so from 12 on a colour is a guess.
  "expected-error": {
    title: "Likely error",
    values: [0, 6, 8, 10, 12, 17],
    places: [0, 0.15, 0.4, 0.65, 0.87, 1],
    sure: 8,
    words: [
      [2, "sure: an error is hardly visible"],
      [5, "nearly sure: an error shows side by side"],
      [8, "maybe another shade"],
      [12, "maybe another colour"],
      [Infinity, "a guess"],
    ],
  },
  // Of what sRGB can show at the pixel's lightness, the share that the 90% band holds.
  width: {
    title: "Range of colours",
    values: [0, 0.23, 0.27, 0.31, 0.36, 0.6],
    places: [0, 0.15, 0.4, 0.6, 0.8, 1],
    sure: 0.27,
    words: [
      [0.23, "nearly sure: few colours are possible"],
      [0.31, "several colours are possible"],
      [0.42, "many colours are possible"],
      [Infinity, "a guess: most colours are possible"],
    ],
  },
};

export class Scale {
  /** @param map "expected-error" or "width". */
  constructor(map) {
    Object.assign(this, SCALES[map]);
  }

  /** The level of a value, 0 to 255. */
  level(value) {
    const { values, places } = this;
    const last = values.length - 1;
    if (value >= values[last]) return 255;
    let next = 1;
    while (value > values[next]) next += 1;
    const share = (value - values[next - 1]) / (values[next] - values[next - 1]);
    return Math.round(255 * (places[next - 1] + share * (places[next] - places[next - 1])));
  }

  /** The first level of a colour that is not sure. */
  get unsureLevel() {
    return this.level(this.sure);
  }

  /** What a value means, in a few words. */
  inWords(value) {
    return this.words.find(([end]) => value < end)[1];
  }
}

/** The colours of the levels 0 to 255 as RGBA, four bytes each in one number. */
export function coloursOf(heat) {
  return Uint32Array.from({ length: 256 }, (_, level) => {
    const bytes = Uint8Array.of(heat[3 * level], heat[3 * level + 1], heat[3 * level + 2], 255);
    return new Uint32Array(bytes.buffer)[0];
  });
}

/** Draws the colours of a map, one pixel a level. */
export function drawScale(canvas, heat) {
  const image = new ImageData(256, 1);
  new Uint32Array(image.data.buffer).set(coloursOf(heat));
  canvas.width = 256;
  canvas.height = 1;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

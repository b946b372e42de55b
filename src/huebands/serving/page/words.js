// The page's sentences about confidence, promise and likeness, for people who know no statistics.

/** A share in whole percent, as people count: "9 of 10", "87 of 100". */
export function countOf(percent) {
  return percent % 10 === 0 ? `${percent / 10} of 10` : `${percent} of 100`;
}

const COUNTED = {
  per_channel: (count) => `${count} of their colour values (red, green and blue of each pixel) lie in the ranges shown`,
  joint: (count) => `${count} of their pixels lie in the ranges shown with all of red, green and blue`,
};

/** What the ranges of a confidence mean. */
export function promiseOf(confidence, mode) {
  return [
    `At ${confidence}%: over many photos like those that the ranges were checked with, at least`,
    `${COUNTED[mode](countOf(confidence))}, on average. A single photo can do better or worse, a single pixel tells`,
    "nothing, and photos of another kind may do much worse.",
  ].join(" ");
}

/** How unusual a photo is.
 *
 * @param likeness the share of the photos that were checked which are as unusual.
 * @param looksDrawn whether it may be a page of text or a drawing.
 */
export function unlikenessOf(likeness, looksDrawn) {
  const count = Math.max(Math.round(100 * likeness), 1);
  const few = 100 * likeness < 1 ? `fewer than ${count}` : `only about ${count}`;
  const kind = looksDrawn ? " It may be a page of text or a drawing." : "";
  return `This photo is unlike those that the ranges were checked with: of 100 such photos, ${few} would be as unusual. Its colours and ranges may be wrong more often than they say.${kind}`;
}

/** How many photos the ranges were checked with, and what they allow. */
export function supportOf(photos) {
  const highest = Math.floor(1000 * (1 - 1 / (photos + 1))) / 10;
  return `${photos} calibration photos support at most ${highest}%, which is 1 − 1/(n + 1).`;
}

/** Which pixels of a large photo are shown. */
export function describeStride(stride) {
  if (stride === 1) return "";
  const ordinal = { 2: "2nd", 3: "3rd" }[stride] ?? `${stride}th`;
  return `Every ${ordinal} pixel of each row and column is shown; the downloads have every pixel.`;
}

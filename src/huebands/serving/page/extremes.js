// The two colours of a band that lie furthest apart: of one pixel, and of a patch of the photo around it.

import { labOf } from "./colours.js";

const PARTS = 4; // of a band a side; red and blue are tried between them, and the grey gives green
const REACH = 20; // pixels of the patch on each side of its middle

/** The colours that a band holds at a grey level: [red, green, blue, a, b] each; the colour shown is among them.
 *
 * @param bounds lower and upper of R, G and B, from `index` on.
 * @param luminance a Luminance.
 */
function coloursIn(bounds, index, grey, shown, luminance) {
  const colours = [withAB(shown)];
  for (let i = 0; i <= PARTS; i += 1) {
    const red = between(bounds[index], bounds[index + 1], i);
    for (let j = 0; j <= PARTS; j += 1) {
      const blue = between(bounds[index + 4], bounds[index + 5], j);
      const green = luminance.greenOf(grey, red, blue);
      if (green >= bounds[index + 2] && green <= bounds[index + 3]) colours.push(withAB([red, green, blue]));
    }
  }
  return colours;
}

/** The extremes of a pixel: {first, second, direction}: [red, green, blue] each, and the way between in a and b. */
export function extremesOf(bounds, grey, shown, luminance) {
  const colours = coloursIn(bounds, 0, grey, shown, luminance);
  let [first, second, furthest] = [colours[0], colours[0], -1];
  colours.forEach((one, index) => {
    for (const other of colours.slice(index + 1)) {
      const distance = Math.hypot(one[3] - other[3], one[4] - other[4]);
      if (distance > furthest) [first, second, furthest] = [one, other, distance];
    }
  });
  // The colder one comes first, whichever was found first: so neighbouring pixels are shown alike.
  if (first[3] + first[4] > second[3] + second[4]) [first, second] = [second, first];
  const direction = furthest > 0 ? [(second[3] - first[3]) / furthest, (second[4] - first[4]) / furthest] : [1, 0];
  return { first: first.slice(0, 3), second: second.slice(0, 3), direction };
}

/** Draws a patch of the photo around a pixel twice, with the extremes of its pixels along one direction.
 *
 * @param pixels RGBA of the colours that are shown.
 * @param canvases two.
 */
export function drawPatches({ nestedBands, pixels }, { row, column, steps, mode, direction }, canvases) {
  const { width, height, grey, luminance } = nestedBands;
  const rows = around(row, height);
  const columns = around(column, width);
  const images = canvases.map(() => new ImageData(columns.length, rows.length));
  const bands = nestedBands.at(steps, mode, columns);
  rows.forEach((y, down) => {
    const bounds = bands.row(y);
    columns.forEach((x, right) => {
      const pixel = y * width + x;
      const shown = [pixels[4 * pixel], pixels[4 * pixel + 1], pixels[4 * pixel + 2]];
      const ends = endsAlong(coloursIn(bounds, 6 * right, grey[pixel], shown, luminance), direction);
      const place = 4 * (down * columns.length + right);
      images.forEach((image, side) => image.data.set([...ends[side].slice(0, 3), 255], place));
    });
  });
  canvases.forEach((canvas, side) => {
    Object.assign(canvas, { width: columns.length, height: rows.length });
    canvas.getContext("2d").putImageData(images[side], 0, 0);
  });
}

function endsAlong(colours, [a, b]) {
  let [first, second, lowest, highest] = [null, null, Infinity, -Infinity];
  for (const colour of colours) {
    const place = a * colour[3] + b * colour[4];
    if (place < lowest) [first, lowest] = [colour, place];
    if (place > highest) [second, highest] = [colour, place];
  }
  return [first, second];
}

function around(middle, count) {
  const start = Math.max(Math.min(middle - REACH, count - 2 * REACH - 1), 0);
  return Array.from({ length: Math.min(2 * REACH + 1, count) }, (_, index) => start + index);
}

function between(lower, upper, part) {
  return Math.round(lower + ((upper - lower) * part) / PARTS);
}

function withAB([red, green, blue]) {
  const [, a, b] = labOf(red, green, blue);
  return [red, green, blue, a, b];
}

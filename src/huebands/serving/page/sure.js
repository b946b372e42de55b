// The colours that are sure: the picture that is shown, left grey wherever its colour is not sure.

/** Draws a picture with only its sure colours.
 *
 * @param picture the canvas of a colouring.
 * @param grey one byte a pixel.
 * @param levels of the map of uncertainty.
 * @param unsureLevel the first level that is not sure.
 * @param canvas that is drawn on, of the same size.
 * @returns the share of the pixels that keep their colour.
 */
export function drawSure(picture, grey, levels, unsureLevel, canvas) {
  const image = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
  const { data } = image;
  let sure = 0;
  for (let pixel = 0, index = 0; pixel < levels.length; pixel += 1, index += 4) {
    if (levels[pixel] < unsureLevel) sure += 1;
    else data.fill(grey[pixel], index, index + 3);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return sure / levels.length;
}

// Long work of the page, row by row, with pauses for its events.

const SLICE = 12; // milliseconds of work between two pauses

/** Does the work of each row; ends early when it is no longer wanted.
 *
 * @param isWanted called after each pause.
 * @returns whether all rows were done.
 */
export async function inSlices(rows, doRow, isWanted) {
  let end = performance.now() + SLICE;
  for (let row = 0; row < rows; row += 1) {
    doRow(row);
    if (performance.now() > end) {
      await new Promise((resolve) => setTimeout(resolve));
      if (!isWanted()) return false;
      end = performance.now() + SLICE;
    }
  }
  return true;
}

// Small helpers for the elements of the page.

export const $ = (id) => document.getElementById(id);

/** The canvas of "grey", "colorized" or "heat" on the stage. */
export const canvasOf = (view) => document.querySelector(`.${view} canvas`);

/** The value that is chosen in a group of radio buttons; undefined: none. */
export const chosen = (group) => $(group).querySelector("input:checked")?.value;

/** Copies a canvas. */
export function copy(source, target) {
  target.width = source.width;
  target.height = source.height;
  target.getContext("2d").drawImage(source, 0, 0);
}

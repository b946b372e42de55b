// The three pictures of a photo, in one frame with borders to drag or side by side, the crosshair, and dots of colour.

import { Borders } from "./borders.js";

const FINE = 1;
const COARSE = 10;

export class Stage {
  /**
   * @param element with three .view, each with a canvas, a .dots and a .cross, and two .handle.
   * @param onPoint called with {row, column, byKey} when the crosshair moves.
   * @param onPaint called with {row, column} when someone paints there.
   * @param onBorder called when someone has moved a border between the pictures.
   */
  constructor(element, { onPoint, onPaint, onBorder }) {
    this.element = element;
    this.views = [...element.querySelectorAll(".view")];
    this.onPoint = onPoint;
    this.onPaint = onPaint;
    this.isPainting = false;
    this.pinned = false;
    this.borders = new Borders(element, onBorder);
    element.addEventListener("pointermove", (event) => this.#hover(event));
    element.addEventListener("pointerup", (event) => this.#pin(event));
    element.addEventListener("click", (event) => this.#paintByClick(event));
    element.addEventListener("keydown", (event) => this.#paintByKey(event));
    element.addEventListener("keydown", (event) => this.#step(event));
  }

  /** Shows another photo, with the crosshair in its middle. */
  show(width, height) {
    this.size = { width, height };
    this.pinned = false;
    this.element.style.setProperty("--ratio", width / height);
    this.element.classList.toggle("small", Math.max(width, height) < 300);
    this.#moveTo(Math.floor(height / 2), Math.floor(width / 2), false);
  }

  /** Shows "colours", "grey" or "map" whole, "all" in one frame, or the three "beside" each other. */
  arrange(view) {
    this.element.classList.toggle("split", view !== "beside");
    if (view !== "beside") this.borders.show(view);
  }

  /** Lets clicks and keys paint; else a click pins the crosshair. */
  setPainting(isPainting) {
    this.isPainting = isPainting;
    this.element.classList.toggle("painting", isPainting);
  }

  /** Shows dots over the pictures: {row, column, colour, isUnusual} each. */
  mark(dots) {
    for (const view of this.views) {
      const rings = dots.map(({ row, column, colour, isUnusual }) => {
        const ring = document.createElement("i");
        ring.classList.toggle("unusual", isUnusual);
        ring.style.borderColor = colour;
        ring.style.left = this.#percent(column, this.size.width);
        ring.style.top = this.#percent(row, this.size.height);
        return ring;
      });
      view.querySelector(".dots").replaceChildren(...rings);
    }
  }

  /** Shows a picture of hints over the grey one, instead of an earlier one; null shows none. */
  overlay(picture) {
    if (picture === this.picture) return;
    this.picture = picture;
    URL.revokeObjectURL(this.pictureUrl); // which does nothing where there is none
    this.pictureUrl = picture === null ? "" : URL.createObjectURL(picture);
    this.element.style.setProperty("--overlay", picture === null ? "none" : `url("${this.pictureUrl}")`);
  }

  #percent(index, count) {
    return `${((index + 0.5) / count) * 100}%`;
  }

  #pixelUnder(event) {
    const view = event.target.closest(".view");
    if (view === null || this.size === undefined) return null;
    const frame = view.querySelector("canvas").getBoundingClientRect();
    const indexAt = (position, start, length, count) =>
      Math.min(Math.max(Math.floor(((position - start) / length) * count), 0), count - 1);
    return {
      row: indexAt(event.clientY, frame.top, frame.height, this.size.height),
      column: indexAt(event.clientX, frame.left, frame.width, this.size.width),
    };
  }

  #hover(event) {
    const isHeld = this.pinned && event.pointerType === "mouse";
    const pixel = isHeld ? null : this.#pixelUnder(event);
    if (pixel !== null) this.#moveTo(pixel.row, pixel.column, false);
  }

  /** A click pins the crosshair, another releases it, unless it paints; a touch always moves the crosshair. */
  #pin(event) {
    const pixel = this.#pixelUnder(event);
    const touched = event.pointerType !== "mouse";
    if (pixel === null || (this.isPainting && !touched)) return;
    this.pinned = touched || !this.pinned;
    this.#moveTo(pixel.row, pixel.column, false);
  }

  #paintByClick(event) {
    const isOnPicture = event.target.closest(".frame") !== null; // not on its caption
    if (this.isPainting && isOnPicture) this.onPaint(this.#pixelUnder(event));
  }

  #paintByKey(event) {
    if (!this.isPainting || event.target !== this.element || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault(); // Space scrolls otherwise
    if (!event.repeat) this.onPaint({ ...this.point });
  }

  #step(event) {
    if (event.target !== this.element || this.size === undefined) return;
    const step = event.shiftKey ? COARSE : FINE;
    const moves = { ArrowLeft: [0, -step], ArrowRight: [0, step], ArrowUp: [-step, 0], ArrowDown: [step, 0] };
    if (event.key === "Escape") this.pinned = false;
    else if (event.key in moves) {
      event.preventDefault();
      this.pinned = true;
      const [down, right] = moves[event.key];
      const clamp = (position, count) => Math.min(Math.max(position, 0), count - 1);
      this.point.row = clamp(this.point.row + down, this.size.height);
      this.point.column = clamp(this.point.column + right, this.size.width);
    } else return;
    this.#moveTo(this.point.row, this.point.column, true);
  }

  #moveTo(row, column, byKey) {
    this.point = { row, column };
    this.element.classList.toggle("pinned", this.pinned);
    this.element.style.setProperty("--x", this.#percent(column, this.size.width));
    this.element.style.setProperty("--y", this.#percent(row, this.size.height));
    this.onPoint({ row, column, byKey });
  }
}

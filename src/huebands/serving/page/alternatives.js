// Other colourings of a photo that the model draws: a strip of pictures, one of which the page shows.

import { readExploration } from "./exploration.js";
import { post } from "./requests.js";

const COUNT = 4; // pictures that are drawn at a time
const UNITS = { "channel values": "colour values", pixels: "pixels" }; // of the service, in the page's words

export class Alternatives {
  /**
   * @param element with a button, a .strip for the pictures and a .hint.
   * @param onChoose called with the canvas that is to be shown, and its name.
   */
  constructor(element, onChoose) {
    this.element = element;
    this.button = element.querySelector("button");
    this.strip = element.querySelector(".strip");
    this.note = element.querySelector(".hint");
    this.onChoose = onChoose;
    this.strip.addEventListener("change", () => this.#choose());
  }

  /** Says whether the model can draw any. */
  offer(isPossible) {
    this.element.hidden = !isPossible;
  }

  /** Begins with another photo, or with other hints, of which nothing is drawn yet. */
  begin(colorized) {
    this.colorized = colorized;
    this.seed = 0;
    this.strip.replaceChildren();
    this.strip.hidden = true;
    this.note.textContent = "";
    this.button.textContent = "Draw alternatives";
  }

  /** Draws some, others each time.
   *
   * @param photo the fields of a form that send the photo and its hints.
   * @param guarantee {alpha, mode, confidence}: of the bands that the pictures are compared with.
   * @param options what `post` takes.
   */
  async draw(photo, { alpha, mode, confidence }, options) {
    const { colorized, seed } = this;
    const response = await post("explore", { ...photo, alpha, mode, samples: COUNT, seed }, options);
    const { samples, description } = await readExploration(await response.arrayBuffer());
    if (this.colorized !== colorized) return; // another photo, or another hint, has come meanwhile
    const { outside, unit } = description.colourings;
    const notes = outside.map(
      (share, index) => `Alternative ${index + 1}: ${(100 * share).toFixed(1)}% of its ${UNITS[unit]} lie outside the ranges at ${confidence}%. The map and the downloads are of the first colouring.`,
    );
    this.pictures = [colorized, ...samples];
    this.notes = ["", ...notes];
    this.strip.replaceChildren(...this.pictures.map((picture, index) => this.#label(picture, index)));
    this.strip.hidden = false;
    this.seed = seed + 1;
    this.button.textContent = "Draw others";
    this.#choose();
  }

  #label(picture, index) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "alternative", value: index });
    input.checked = index === 0;
    const name = Object.assign(document.createElement("span"), { textContent: nameOf(index) });
    const thumbnail = document.createElement("canvas");
    const scale = Math.min(1, 320 / Math.max(picture.width, picture.height));
    thumbnail.width = Math.max(1, Math.round(scale * picture.width));
    thumbnail.height = Math.max(1, Math.round(scale * picture.height));
    thumbnail.getContext("2d").drawImage(picture, 0, 0, thumbnail.width, thumbnail.height);
    label.append(input, thumbnail, name);
    return label;
  }

  #choose() {
    const index = Number(this.strip.querySelector("input:checked").value);
    this.note.textContent = this.notes[index];
    this.onChoose(this.pictures[index], nameOf(index));
  }
}

function nameOf(index) {
  return index === 0 ? "Colorized" : `Alternative ${index}`;
}

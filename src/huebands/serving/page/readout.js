// Shows the value and the band of each channel at one pixel: as numbers, as colours, and to a screen reader.

import { inWords } from "./error-map.js";

const CHANNELS = ["red", "green", "blue"];
const SPEAK_AFTER = 300; // milliseconds without another move

export class Readout {
  /** @param element with .place, .expected-error, .shown-colour, .spoken and for each channel a .channel. */
  constructor(element) {
    this.element = element;
    this.channels = [...element.querySelectorAll(".channel")];
    this.child = (name) => element.querySelector(`.${name}`);
  }

  /** Shows a pixel.
   *
   * @param pixel {x, y, grey, shown, bounds, gamutRange}: position in the photo, and by channel the value shown, lower
   *   and upper bound in turn, and [lowest, highest] that sRGB can show at this grey; and error, the expected error in
   *   CIEDE2000, or null.
   * @param aloud whether a screen reader announces it.
   */
  show(pixel, aloud) {
    this.child("place").textContent = `x ${pixel.x}, y ${pixel.y}, grey ${pixel.grey}`;
    this.child("shown-colour").style.backgroundColor = `rgb(${pixel.shown.join(" ")})`;
    this.child("expected-error").textContent = describeError(pixel);
    this.channels.forEach((element, channel) => this.#showChannel(element, pixel, channel));
    if (aloud) this.#speak(pixel);
  }

  #showChannel(element, pixel, channel) {
    const [lower, upper] = [pixel.bounds[2 * channel], pixel.bounds[2 * channel + 1]];
    element.querySelector(".value").textContent = pixel.shown[channel];
    element.querySelector(".interval").textContent = `[${lower}, ${upper}]`;
    const [lowest, highest] = pixel.gamutRange[channel];
    const placeBar = (name, first, last) => {
      const bar = element.querySelector(`.${name}`);
      bar.style.left = `${(first / 256) * 100}%`;
      bar.style.width = `${((last + 1 - first) / 256) * 100}%`;
      return bar;
    };
    placeBar("reach", lowest, highest);
    placeBar("mark", pixel.shown[channel], pixel.shown[channel]);
    const ends = [lower, upper].map((value) => `rgb(${pixel.shown.with(channel, value).join(" ")})`);
    placeBar("band", lower, upper).style.background = `linear-gradient(to right, ${ends.join(", ")})`;
  }

  #speak(pixel) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const parts = CHANNELS.map(
        (name, channel) =>
          `${name} ${pixel.shown[channel]}, between ${pixel.bounds[2 * channel]} and ${pixel.bounds[2 * channel + 1]}`,
      );
      if (pixel.error !== null) parts.unshift(describeError(pixel).toLowerCase());
      this.child("spoken").textContent = `Column ${pixel.x}, row ${pixel.y}: ${parts.join("; ")}.`;
    }, SPEAK_AFTER);
  }
}

function describeError({ error }) {
  return error === null ? "" : `Expected error ${error.toFixed(error < 9.95 ? 1 : 0)}: ${inWords(error)}`;
}

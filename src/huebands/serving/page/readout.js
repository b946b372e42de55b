// Shows one pixel: how far off its colour may be, the extreme colours of its band, and each channel's value and band.

import { nameOf } from "./colours.js";

const CHANNELS = ["red", "green", "blue"];
const SPEAK_AFTER = 300; // milliseconds without another move

export class Readout {
  /** @param element with .place, .certainty, .extremes, .tile of three kinds, .spoken, and for each channel a .channel. */
  constructor(element) {
    this.element = element;
    this.channels = [...element.querySelectorAll(".channel")];
    this.child = (name) => element.querySelector(`.${name}`);
  }

  /** Shows a pixel.
   *
   * @param pixel {x, y, grey, shown, bounds, gamutRange, first, second, certainty}: position in the photo, and by channel
   *   the value shown, lower and upper bound in turn, and [lowest, highest] that sRGB can show at this grey; the band's
   *   two extreme colours; and how certain the colour is, {words, figure}.
   * @param aloud whether a screen reader announces it.
   */
  show(pixel, aloud) {
    this.child("place").textContent = `x ${pixel.x}, y ${pixel.y}, grey ${pixel.grey}; ${pixel.certainty.figure}`;
    this.child("certainty").textContent = pixel.certainty.words;
    this.child("extremes").textContent = describeExtremes(pixel);
    for (const name of ["shown", "first", "second"]) {
      this.child(`tile.${name}`).style.backgroundColor = `rgb(${pixel[name].join(" ")})`;
    }
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
      const { words, figure } = pixel.certainty;
      const sentences = `${words}. ${describeExtremes(pixel)} ${parts.join("; ")}; ${figure}.`;
      this.child("spoken").textContent = `Column ${pixel.x}, row ${pixel.y}: ${sentences}`;
    }, SPEAK_AFTER);
  }
}

function describeExtremes({ shown, first, second }) {
  const [middle, one, other] = [shown, first, second].map(nameOf);
  if (one === middle && other === middle) return `Shown ${middle}; other shades of it are possible.`;
  return one === other ? `Shown ${middle}; ${one} is possible.` : `Shown ${middle}; anything from ${one} to ${other} is possible.`;
}

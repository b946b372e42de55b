// The photo on show: its pictures, its map, its readout, and the confidence that it is read at.

import { Alternatives } from "./alternatives.js";
import { $, canvasOf, chosen, copy } from "./dom.js";
import { Downloads } from "./downloads.js";
import { stepsAt } from "./exploration.js";
import { HeatMap } from "./heat.js";
import { Hints } from "./hints.js";
import { MeanWidth } from "./mean-width.js";
import { PixelView } from "./pixel-view.js";
import { Reference } from "./reference.js";
import { Scale, drawScale } from "./scale.js";
import { Stage } from "./stage.js";
import { drawSure } from "./sure.js";
import { countOf, describeStride, promiseOf, supportOf } from "./words.js";

export class Result {
  /**
   * @param onError called with an error when there is one, and with null when the next try begins.
   * @param onExplored called with {archive, exploration, fields} when hints or a reference have changed the photo.
   */
  constructor({ onError, onExplored }) {
    this.onError = onError;
    this.onExplored = onExplored;
    this.view = null; // what is on show: an exploration, its fields, colouring, downloads, map and crosshair
    this.pixelView = new PixelView($("readout"));
    this.heat = new HeatMap(canvasOf("heat"), (levels, scale) => this.#takeLevels(levels, scale));
    this.meanWidth = new MeanWidth(showMean);
    this.stage = new Stage($("stage"), {
      onPoint: (pixel) => this.#showPixel(pixel),
      onPaint: (pixel) => this.hints.add(pixel),
      onBorder: leaveArrangement,
    });
    this.alternatives = new Alternatives($("alternatives"), (canvas, name) => this.#showColouring(canvas, name));
    const guided = { onExplored: (answer) => this.#showGuided(answer), onError };
    this.hints = new Hints($("hints"), this.stage, guided);
    this.reference = new Reference($("reference"), guided);
    $("alternatives").querySelector("button").addEventListener("click", () => this.#drawAlternatives());
    $("only-sure").addEventListener("change", () => this.#drawColours());
  }

  /** Offers what the model can do. */
  offer({ hints, like, samples }) {
    this.alternatives.offer(samples > 0);
    this.hints.offer(hints === true);
    this.reference.offer(like === true);
  }

  /** Shows another photo, with its hints and its reference. */
  begin(exploration, name, fields) {
    const { description, nestedBands } = exploration;
    this.#explore(exploration, fields, null);
    drawScale($("scale"), description.tables.heat);
    $("photo").textContent = `${name}, ${description.width} × ${description.height}`;
    $("stride").textContent = describeStride(description.stride);
    limitConfidence(description);
    $("result").hidden = false;
    this.stage.show(nestedBands.width, nestedBands.height);
    this.hints.begin(fields, description);
    this.reference.begin(fields);
    this.update();
  }

  /** Shows no photo. */
  hide() {
    this.view = null;
    $("result").hidden = true;
  }

  /** Shows the pictures whole, in one frame or beside each other. */
  arrange(arrangement) {
    this.stage.arrange(arrangement);
  }

  /** Follows the confidence, what counts, and the map that are chosen. */
  update() {
    if (this.view === null) return;
    const { confidence, mode, steps } = this.guarantee;
    const map = chosen("map");
    $("confidence").setAttribute("aria-valuetext", `${confidence}%`);
    $("meaning").textContent = `A range holds the true value in ${countOf(confidence)} cases, on average.`;
    $("promise").textContent = this.promise;
    nameMap(map);
    this.heat.draw(map);
    this.meanWidth.measure(this.view.nestedBands, steps, mode);
    if (this.view.point !== null) this.#showPixel({ ...this.view.point, byKey: false });
  }

  /** The guarantee that the controls of the page are set to. */
  get guarantee() {
    const confidence = Number($("confidence").value);
    const mode = chosen("mode");
    return { confidence, alpha: (100 - confidence) / 100, mode, steps: stepsAt(this.view.description, confidence, mode) };
  }

  /** What is promised of the photo, or what holds in place of it. */
  get promise() {
    const { confidence, mode } = this.guarantee;
    const { caveat, law } = this.view.description;
    return caveat ?? [promiseOf(confidence, mode), law].filter(Boolean).join(" ");
  }

  #explore(exploration, fields, point) {
    this.view = { ...exploration, fields, point, downloads: new Downloads(fields, exploration.description.model.version), levels: null };
    copy(exploration.grey, canvasOf("grey"));
    this.#showColouring(exploration.colorized, "Colorized");
    this.alternatives.begin(exploration.colorized);
    this.heat.explore(exploration);
    offerMaps(exploration.errorMap);
  }

  /** Shows the photo with other hints or another reference; all that someone has set stays. */
  #showGuided(answer) {
    this.#explore(answer.exploration, answer.fields, this.view.point);
    this.onExplored(answer);
    this.update();
  }

  /** Shows one of the photo's colourings; the bands stay as they are. */
  #showColouring(canvas, name) {
    document.querySelector(".colorized figcaption").textContent = name;
    this.view.colouring = canvas;
    this.view.pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    this.#drawColours();
    if (this.view.point !== null) this.#showPixel({ ...this.view.point, byKey: false });
  }

  /** Draws the colouring, or only its sure colours. */
  #drawColours() {
    const { colouring, levels, scale, nestedBands } = this.view;
    copy(colouring, canvasOf("colorized"));
    $("sure-share").textContent = "";
    if (!$("only-sure").checked || levels === null) return;
    const share = drawSure(colouring, nestedBands.grey, levels, scale.unsureLevel, canvasOf("colorized"));
    $("sure-share").textContent = `${Math.round(100 * share)}% of the photo keeps its colour; the rest is left grey.`;
  }

  #takeLevels(levels, scale) {
    Object.assign(this.view, { levels, scale });
    this.#drawColours();
  }

  async #drawAlternatives() {
    const note = $("alternatives").querySelector(".hint");
    const onWait = (seconds) => { note.textContent = `The service is busy; next try in ${seconds} s…`; };
    this.onError(null);
    note.textContent = "Drawing…";
    const { fields, description: { model: { version } } } = this.view;
    try {
      await this.alternatives.draw(fields, this.guarantee, { onWait, version, signal: new AbortController().signal });
    } catch (error) {
      note.textContent = "";
      this.onError(error);
    }
  }

  #showPixel({ row, column, byKey }) {
    this.view.point = { row, column };
    const share = this.view.errorMap === null ? this.heat.shareAt(row, column) : null;
    this.pixelView.show(this.view, this.guarantee, share, byKey);
  }
}

/** Sets the confidence, as near as the calibration supports it. */
export function setConfidence(percent) {
  const { min, max } = $("confidence");
  const allowed = Math.min(Math.max(Math.round(percent) || 0, Number(min)), Number(max));
  $("confidence").value = allowed;
  $("confidence-number").value = allowed;
}

function limitConfidence({ steps, calibration_photos: photos }) {
  const supported = Object.keys(steps.per_channel).map(Number);
  for (const input of [$("confidence"), $("confidence-number")]) {
    input.min = Math.min(...supported);
    input.max = Math.max(...supported);
  }
  $("support").textContent = supportOf(photos);
  setConfidence(Number($("confidence").value));
}

/** Offers both maps, the expected error first, or hides the choice where there are only widths. */
function offerMaps(errorMap) {
  const [error, width] = ["expected-error", "width"].map((map) => $("map").querySelector(`[value=${map}]`));
  if (errorMap === null) width.checked = true;
  else if ($("map").hidden) error.checked = true;
  $("map").hidden = errorMap === null;
}

function nameMap(map) {
  const name = new Scale(map).title;
  $("map-name").textContent = name;
  document.querySelector(".heat figcaption").textContent = name;
  $("stage").setAttribute("aria-label", `Grey, colorized and ${name.toLowerCase()}. Arrow keys move the crosshair.`);
  document.querySelector(".handle.second").setAttribute("aria-label", `Border between colorized and ${name.toLowerCase()}`);
}

/** No arrangement is chosen any more: someone has moved a border. */
function leaveArrangement() {
  const input = $("arrangement").querySelector("input:checked");
  if (input !== null) input.checked = false;
}

function showMean(mean, isComplete) {
  $("mean").textContent = mean.toFixed(1);
  $("mean").dataset.complete = isComplete;
}

// Colours that a person gives at places of a photo, as dots or as an uploaded picture; each change explores it again.

import { saveAs } from "./downloads.js";
import { readExploration } from "./exploration.js";
import { Refusal, photoOf, post } from "./requests.js";

const MOST = 200; // dots that the service takes
const LISTED = 5; // unusual hints that the status line names
const NONE = { dots: [], picture: null };
const HELP = "Click or tap the photo to add a dot; with the keyboard, Enter adds one at the crosshair. Ctrl+Z takes the newest back.";

export class Hints {
  /**
   * @param element with the buttons .paint, .undo, .clear and .download, the inputs .colour and .upload, .help and .status.
   * @param stage on which the dots are shown.
   * @param onExplored called with {archive, exploration, fields}: what the service sent, and what it was asked with.
   * @param onError called with an error when there is one, and with null when the next try begins.
   */
  constructor(element, stage, { onExplored, onError }) {
    this.element = element;
    this.stage = stage;
    this.onExplored = onExplored;
    this.onError = onError;
    this.child = (name) => element.querySelector(`.${name}`);
    this.child("paint").addEventListener("click", () => this.#setPainting(!this.isPainting));
    this.child("undo").addEventListener("click", () => this.#undo());
    this.child("clear").addEventListener("click", () => this.#clear());
    this.child("download").addEventListener("click", () => this.#save());
    this.child("upload").addEventListener("change", (event) => this.#upload(event.target));
    document.addEventListener("keydown", (event) => this.#undoByKey(event));
  }

  /** Says whether the model takes any. */
  offer(isPossible) {
    this.element.hidden = !isPossible;
  }

  /** Begins with another photo.
   *
   * @param fields the fields of a form that the photo was explored with, with or without hints.
   * @param description of the exploration.
   */
  begin(fields, description) {
    this.request?.abort();
    this.fields = photoOf(fields);
    this.photo = description;
    this.shown = hintsOf(fields); // the hints of the exploration that the page shows
    this.radius = null; // of a dot's disk, known after the first answer
    this.#setPainting(false);
    this.#readAnswer(description.hints);
  }

  /** Adds a dot at a pixel of the stage. */
  add({ row, column }) {
    const { dots, picture } = this.wanted;
    if (dots.length === MOST) {
      this.#say(`A photo takes at most ${MOST} dots.`);
      return;
    }
    const { stride } = this.photo;
    const dot = { x: column * stride, y: row * stride, colour: this.child("colour").value };
    this.#explore({ dots: [...dots, dot], picture });
  }

  #setPainting(isPainting) {
    this.isPainting = isPainting;
    this.stage.setPainting(isPainting);
    this.child("paint").setAttribute("aria-pressed", isPainting);
    this.child("help").textContent = isPainting ? HELP : "";
  }

  /** Removes the newest dot, or the picture when there is no dot. */
  #undo() {
    const { dots, picture } = this.wanted;
    if (dots.length > 0) this.#explore({ dots: dots.slice(0, -1), picture });
    else this.#clear();
  }

  #clear() {
    if (!isEmpty(this.wanted)) this.#explore(NONE);
  }

  #undoByKey(event) {
    const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
    if (!this.isPainting || !isUndo || event.target.matches("input[type=number]")) return; // a number has its own undo
    event.preventDefault();
    this.#undo();
  }

  async #upload(input) {
    const [picture] = input.files;
    input.value = ""; // so that the same picture can be chosen again
    if (picture === undefined) return;
    const { fields } = this;
    try {
      (await decode(picture)).close();
    } catch (error) {
      this.onError(error);
      return;
    }
    if (this.fields === fields) this.#explore({ dots: this.wanted.dots, picture }); // else another photo has come meanwhile
  }

  async #save() {
    if (isEmpty(this.wanted) || this.radius === null) return;
    this.onError(null);
    try {
      const png = await drawPicture(this.wanted, this.photo, this.radius);
      saveAs(`${this.photo.photo.replace(/\.[^.]+$/, "")}.hints.png`, png);
    } catch (error) {
      this.onError(error);
    }
  }

  /** Explores the photo with these hints; a later call ends an earlier one. Hints that are refused are dropped. */
  async #explore(hints) {
    this.request?.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    const fields = { ...this.fields, ...fieldsOf(hints) };
    const onWait = (seconds) => this.#say(`The service is busy; next try in ${seconds} s…`);
    this.#want(hints);
    this.onError(null);
    this.#say(isEmpty(hints) ? "Colorizing without hints…" : `Colorizing with ${describe(hints)}…`);
    try {
      const response = await post("explore", fields, { signal, onWait });
      const archive = await response.arrayBuffer();
      const exploration = await readExploration(archive);
      if (signal.aborted) return;
      this.shown = hints;
      this.#readAnswer(exploration.description.hints);
      this.onExplored({ archive, exploration, fields });
    } catch (error) {
      if (signal.aborted) return;
      this.onError(error);
      this.#want(this.shown);
      this.#sayState();
    }
  }

  #readAnswer(answer) {
    this.unusual = answer?.unusual ?? [];
    this.radius = answer?.radius ?? this.radius;
    this.#want(this.shown);
    this.#sayState();
  }

  /** Shows hints, which the colours follow when the service has answered. */
  #want(hints) {
    this.wanted = hints;
    const { stride } = this.photo;
    const isUnusual = ({ x, y }) => this.unusual.some((place) => place.x === x && place.y === y);
    this.stage.mark(
      hints.dots.map((dot) => ({
        row: dot.y / stride,
        column: dot.x / stride,
        colour: dot.colour,
        isUnusual: isUnusual(dot),
      })),
    );
    this.stage.overlay(hints.picture);
    // They stay in the order of the keyboard: a button that is disabled would lose the focus.
    for (const name of ["undo", "clear"]) this.child(name).setAttribute("aria-disabled", isEmpty(hints));
    this.child("download").setAttribute("aria-disabled", isEmpty(hints) || this.radius === null);
  }

  #sayState() {
    const { unusual, shown } = this;
    const sentences = unusual.slice(0, LISTED).map(({ x, y }) => `Hint at ${x}, ${y}: unusual here.`);
    if (unusual.length > LISTED) sentences.push(`So are ${unusual.length - LISTED} more.`);
    this.#say(unusual.length > 0 ? sentences.join(" ") : isEmpty(shown) ? "" : `Shown with ${describe(shown)}.`);
  }

  #say(text) {
    this.child("status").textContent = text;
  }
}

function isEmpty({ dots, picture }) {
  return dots.length === 0 && picture === null;
}

function describe({ dots, picture }) {
  const count = dots.length === 1 ? "1 dot" : `${dots.length} dots`;
  if (picture === null) return count;
  return dots.length === 0 ? picture.name : `${count} and ${picture.name}`;
}

/** The fields of a form that send the hints. */
function fieldsOf({ dots, picture }) {
  const fields = {};
  if (dots.length > 0) fields.hint = dots.map(({ x, y, colour }) => `${x},${y},${colour}`).join(" ");
  if (picture !== null) fields.hints = picture;
  return fields;
}

/** The hints that such fields send. */
function hintsOf({ hint = "", hints = null }) {
  const dots = hint.split(" ").filter(Boolean).map((point) => {
    const [x, y, colour] = point.split(",");
    return { x: Number(x), y: Number(y), colour };
  });
  return { dots, picture: hints };
}

async function decode(picture) {
  try {
    return await createImageBitmap(picture, { colorSpaceConversion: "none" });
  } catch {
    throw new Refusal(`${picture.name}: is not a picture that this browser can read.`);
  }
}

/** Makes the PNG of hints at the photo's full size: the picture, and a disk with a hard edge for each dot. */
async function drawPicture({ dots, picture }, { width, height }, radius) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (picture !== null) {
    const bitmap = await decode(picture);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
  }
  for (const dot of dots) drawDisk(context, dot, radius);
  const png = await new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
  if (png === null) throw new Refusal(`This browser cannot make a picture of ${width} × ${height} pixels.`);
  return png;
}

function drawDisk(context, { x, y, colour }, radius) {
  const reach = Math.floor(radius);
  const side = 2 * reach + 1;
  const image = context.getImageData(x - reach, y - reach, side, side);
  const rgba = [...[1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16)), 255];
  for (let down = -reach, index = 0; down <= reach; down += 1) {
    for (let right = -reach; right <= reach; right += 1, index += 4) {
      if (down * down + right * right <= radius * radius) image.data.set(rgba, index);
    }
  }
  context.putImageData(image, x - reach, y - reach);
}

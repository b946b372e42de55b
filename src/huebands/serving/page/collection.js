// The photos of the page: they are colorized one after another, and those that are done are kept in the browser.

import { adviceFor } from "./advice.js";
import { readExploration } from "./exploration.js";
import { post } from "./requests.js";
import { openStore } from "./store.js";

const THUMBNAIL = 160; // pixels, the longer side

export class Collection {
  /**
   * @param onChange called when a photo was added, removed or changed.
   * @param onDone called with a photo and its exploration.
   * @param onRefused called with a photo and the error.
   * @param onProgress called with a text; "" when all photos are done.
   * @param onUnkept called with the reason why this browser keeps no photos.
   */
  constructor({ onChange, onDone, onRefused, onProgress, onUnkept }) {
    Object.assign(this, { onChange, onDone, onRefused, onProgress, onUnkept });
    this.photos = [];
    this.request = null; // an AbortController, while a photo is being colorized
  }

  /** Brings back the photos that the browser has kept. */
  async restore() {
    try {
      this.store = await openStore();
      const kept = await this.store.all();
      this.photos.unshift(...kept.map((photo) => ({ ...photo, state: "done", reason: "" })));
    } catch (error) {
      this.#explainUnkept(error);
    }
    this.onChange();
  }

  /** Adds photos, and colorizes them in turn; gives them. */
  add(files) {
    const added = files.map((file, index) => ({
      id: `${Date.now()}-${String(index).padStart(4, "0")}-${crypto.getRandomValues(new Uint32Array(1))[0]}`,
      name: file.name,
      asked: { image: file },
      fields: null,
      state: "waiting",
      reason: "",
      notes: [],
      thumbnail: null,
      archive: null,
    }));
    this.photos.push(...added);
    this.#work();
    return added;
  }

  /** Colorizes a photo again, with other fields; where these are refused, it stays as it is. */
  redo(photo, asked) {
    Object.assign(photo, { asked, state: "waiting" });
    this.#work();
  }

  /** Takes over what a photo became by hints or by a reference. */
  async replace(photo, { archive, exploration, fields }) {
    await this.#finish(photo, archive, exploration, fields);
    this.onChange();
  }

  /** Removes a photo from the page and from the browser. */
  async remove(photo) {
    if (photo.state === "working") this.request.abort();
    this.photos = this.photos.filter((other) => other !== photo);
    this.onChange();
    await this.#keep((store) => store.remove(photo.id));
  }

  /** Ends the work; photos that wait are removed. */
  cancel() {
    const isPending = ({ state }) => ["waiting", "working"].includes(state);
    for (const photo of this.photos) if (isPending(photo) && photo.archive !== null) photo.state = "done";
    this.photos = this.photos.filter((photo) => !isPending(photo));
    this.request?.abort();
    this.onChange();
  }

  async #work() {
    this.onChange();
    if (this.request !== null) return;
    for (let photo; (photo = this.photos.find(({ state }) => state === "waiting")) !== undefined; ) {
      await this.#colorize(photo);
      this.onChange();
    }
    this.onProgress("");
  }

  async #colorize(photo) {
    this.request = new AbortController();
    const { signal } = this.request;
    const onWait = (seconds) => this.onProgress(`The service is busy; next try in ${seconds} s…`);
    photo.state = "working";
    this.onChange();
    this.onProgress(this.#describeWork(photo));
    try {
      const response = await post("explore", photo.asked, { signal, onWait });
      const archive = await response.arrayBuffer();
      const exploration = await readExploration(archive);
      if (signal.aborted) return;
      await this.#finish(photo, archive, exploration, photo.asked);
      this.onDone(photo, exploration);
    } catch (error) {
      if (signal.aborted) return;
      if (photo.archive === null) Object.assign(photo, { state: "refused", reason: error.message });
      else photo.state = "done";
      this.onRefused(photo, error);
    } finally {
      this.request = null;
    }
  }

  async #finish(photo, archive, exploration, fields) {
    const notes = adviceFor(exploration.description).map(({ short }) => short);
    const thumbnail = await thumbnailOf(exploration.colorized);
    Object.assign(photo, { archive, fields, notes, thumbnail, state: "done", reason: "" });
    const { id, name } = photo;
    await this.#keep((store) => store.put({ id, name, archive, fields, notes, thumbnail }));
  }

  #describeWork(photo) {
    const waiting = this.photos.filter(({ state }) => state === "waiting").length;
    return waiting === 0 ? `Colorizing ${photo.name}…` : `Colorizing ${photo.name}… ${waiting} more after it.`;
  }

  async #keep(change) {
    if (this.store === undefined) return;
    try {
      await change(this.store);
    } catch (error) {
      this.#explainUnkept(error);
    }
  }

  #explainUnkept(error) {
    this.onUnkept(`This browser keeps no photos for later (${error.message}): save what you need.`);
  }
}

function thumbnailOf(picture) {
  const scale = Math.min(1, THUMBNAIL / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(scale * side)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

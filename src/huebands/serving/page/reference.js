// A reference photo, whose colours the photo is to take; each choice explores the photo again.

import { readExploration } from "./exploration.js";
import { listenToFiles } from "./intake.js";
import { photoOf, post } from "./requests.js";

export class Reference {
  /**
   * @param element with an input .choose, a button .remove, an img and a .status.
   * @param onExplored called with {archive, exploration, fields}: what the service sent, and what it was asked with.
   * @param onError called with an error when there is one, and with null when the next try begins.
   */
  constructor(element, { onExplored, onError }) {
    this.element = element;
    this.onExplored = onExplored;
    this.onError = onError;
    this.picture = element.querySelector("img");
    this.status = element.querySelector(".status");
    this.button = element.querySelector(".remove");
    listenToFiles(element.querySelector(".choose"), ([file]) => this.take(file));
    this.button.addEventListener("click", () => this.take(null));
  }

  /** Says whether the model takes one. */
  offer(isPossible) {
    this.element.hidden = !isPossible;
  }

  /** Begins with another photo.
   *
   * @param fields the fields of a form that the photo was explored with, with or without a reference.
   */
  begin({ like, ...fields }) {
    this.request?.abort();
    this.fields = photoOf(fields);
    this.#show(like ?? null);
    this.#sayState();
  }

  /** Takes another reference, or none; a refused one leaves the page as it is. */
  async take(like) {
    if (like === null && this.shown === null) return;
    this.request?.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    const fields = like === null ? this.fields : { ...this.fields, like };
    const onWait = (seconds) => { this.status.textContent = `The service is busy; next try in ${seconds} s…`; };
    this.onError(null);
    this.status.textContent = like === null ? "Colorizing without a reference…" : `Colorizing like ${like.name}…`;
    try {
      const response = await post("explore", fields, { signal, onWait });
      const archive = await response.arrayBuffer();
      const exploration = await readExploration(archive);
      if (signal.aborted) return;
      this.#show(like);
      this.onExplored({ archive, exploration, fields });
    } catch (error) {
      if (signal.aborted) return;
      this.onError(error);
    }
    this.#sayState();
  }

  #sayState() {
    this.status.textContent = this.shown === null ? "" : `Colours like ${this.shown.name}.`;
  }

  #show(like) {
    if (this.picture.src !== "") URL.revokeObjectURL(this.picture.src);
    this.shown = like;
    this.picture.hidden = like === null;
    if (like === null) this.picture.removeAttribute("src");
    else this.picture.src = URL.createObjectURL(like);
    this.button.setAttribute("aria-disabled", like === null);
  }
}

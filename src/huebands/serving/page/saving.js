// The card with the files: downloads at full size from the service, and before and after to keep, made here.

import { $, canvasOf, chosen } from "./dom.js";
import { saveAs } from "./downloads.js";
import { fileOf, pictureOf } from "./keepsake.js";

export class Saving {
  /**
   * @param result the Result that is on show.
   * @param onError called with an error when there is one, and with null when the next try begins.
   */
  constructor(result, onError) {
    this.result = result;
    this.onError = onError;
    const listen = (id, save) =>
      $(id).addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (button !== null) this.#try(() => save(button.dataset.ending));
      });
    listen("files", (ending) => this.#download(ending));
    listen("keepsakes", (ending) => this.#keep(ending));
  }

  async #try(save) {
    this.onError(null);
    try {
      await save();
    } catch (error) {
      this.onError(error);
    } finally {
      $("files-status").textContent = "";
    }
  }

  async #download(ending) {
    const { guarantee: { alpha, mode }, view: { downloads } } = this.result;
    const status = $("files-status");
    const onWait = (seconds) => { status.textContent = `The service is busy; next try in ${seconds} s…`; };
    status.textContent = "Making the files at full size…";
    await downloads.save(ending, { alpha, mode, map: chosen("map"), onWait, signal: new AbortController().signal });
  }

  async #keep(ending) {
    const { promise, view } = this.result;
    $("files-status").textContent = "Making the file…";
    const { photo: name, model } = view.description;
    const madeBy = `The colours were made by Huebands with the model ${model.name}, version ${model.version}: they are not a record of the true ones.`;
    const keepsake = { name, grey: canvasOf("grey"), colours: canvasOf("colorized") };
    const ends = [...document.querySelectorAll(".legend .end")].map(({ textContent }) => textContent);
    const sentences = [`Map: ${$("map-name").textContent}. ${$("map-meaning").textContent}`, promise, madeBy];
    const advice = [...document.querySelectorAll("#warning p")].map((paragraph) => paragraph.firstChild.textContent);
    const content =
      ending === ".png"
        ? await pictureOf({ ...keepsake, note: madeBy })
        : fileOf({ ...keepsake, map: canvasOf("heat"), scale: $("scale"), ends, sentences: [...advice, ...sentences] });
    saveAs(`${name.replace(/\.[^.]+$/, "")}.before-and-after${ending}`, content);
  }
}

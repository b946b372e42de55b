// How photos come to the page: chosen, dropped, or as an example.

import { Refusal } from "./requests.js";

export class Intake {
  /**
   * @param onPhotos called with the files of photos.
   * @param onReference called with the file of a photo that was dropped on #reference.
   * @param onError called with an error.
   */
  constructor({ onPhotos, onReference, onError }) {
    this.onPhotos = onPhotos;
    this.onReference = onReference;
    this.onError = onError;
    this.entered = 0; // elements of the page that a dragged file is over
    const input = document.getElementById("file");
    input.multiple = true; // without this script the form sends one
    listenToFiles(input, onPhotos);
    document.addEventListener("dragenter", () => this.#mark(this.entered + 1));
    document.addEventListener("dragleave", () => this.#mark(this.entered - 1));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => this.#drop(event));
    document.querySelectorAll(".example").forEach((button) => {
      button.addEventListener("click", () => this.#openExample(button.dataset.photo));
    });
  }

  #mark(entered) {
    this.entered = entered;
    document.body.classList.toggle("dragging", entered > 0);
  }

  #drop(event) {
    event.preventDefault();
    this.#mark(0);
    const files = [...event.dataTransfer.files];
    if (files.length === 0) return;
    if (event.target.closest?.("#reference")) this.onReference(files[0]);
    else this.onPhotos(files);
  }

  async #openExample(name) {
    try {
      const response = await fetch(`page/examples/${name}`);
      if (!response.ok) throw new Refusal(`The example ${name} was not found.`);
      this.onPhotos([new File([await response.blob()], name, { type: "image/jpeg" })]);
    } catch (error) {
      this.onError(error);
    }
  }
}

/** Calls a function with the files that are chosen together, also when they are the same again. */
export function listenToFiles(input, onFiles) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length > 0) onFiles(files);
  });
}

// How photos come to the page: chosen, dropped, or as an example.

import { Refusal } from "./requests.js";

export class Intake {
  /**
   * @param onPhoto called with the file of a photo.
   * @param onReference called with the file of a photo that was dropped on #reference.
   * @param onError called with an error.
   */
  constructor({ onPhoto, onReference, onError }) {
    this.onPhoto = onPhoto;
    this.onReference = onReference;
    this.onError = onError;
    this.entered = 0; // elements of the page that a dragged file is over
    listenToFile(document.getElementById("file"), onPhoto);
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
    const [file] = event.dataTransfer.files;
    if (file === undefined) return;
    if (event.target.closest?.("#reference")) this.onReference(file);
    else this.onPhoto(file);
  }

  async #openExample(name) {
    try {
      const response = await fetch(`page/examples/${name}`);
      if (!response.ok) throw new Refusal(`The example ${name} was not found.`);
      await this.onPhoto(new File([await response.blob()], name, { type: "image/jpeg" }));
    } catch (error) {
      this.onError(error);
    }
  }
}

/** Calls a function with each file that is chosen, also when it is the same again. */
export function listenToFile(input, onFile) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = "";
    if (file !== undefined) onFile(file);
  });
}

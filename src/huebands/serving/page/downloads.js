// The files of a photo at its full size, fetched for one confidence, mode and map and kept until another is chosen.

import { readArchive } from "./archive.js";
import { post } from "./requests.js";

const TYPES = { png: "image/png", npz: "application/zip", zip: "application/zip", html: "text/html" };

export class Downloads {
  /**
   * @param photo the fields of a form that send the photo and its hints.
   * @param version of the model that has made what is on show.
   */
  constructor(photo, version) {
    this.photo = photo;
    this.version = version;
    this.archive = { key: null };
  }

  /** Saves the file whose name has this ending, or the whole archive for ".zip".
   *
   * @param options {alpha, mode, map}, and what `post` takes.
   */
  async save(ending, { alpha, mode, map, ...options }) {
    const key = `${alpha} ${mode} ${map}`;
    if (this.archive.key !== key) {
      const response = await post("bands", { ...this.photo, alpha, mode, map }, { ...options, version: this.version });
      const buffer = await response.arrayBuffer();
      this.archive = { key, buffer, entries: await readArchive(buffer) };
    }
    const names = Object.keys(this.archive.entries);
    const colorized = names.find((name) => name.endsWith(".colorized.png"));
    if (ending === ".zip") saveAs(colorized.replace(/colorized\.png$/, "huebands.zip"), this.archive.buffer);
    else {
      const name = names.find((candidate) => candidate.endsWith(ending));
      saveAs(name, this.archive.entries[name]);
    }
  }
}

/** Saves a file, whose ending says its type. */
export function saveAs(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: TYPES[name.split(".").pop()] }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// The files at the photo's full size, made by the service for one confidence and kept until another is asked for.

import { readArchive } from "./archive.js";
import { post } from "./requests.js";

const TYPES = { png: "image/png", npz: "application/zip", zip: "application/zip" };

export class Downloads {
  /** @param photo the file that was sent to be explored. */
  constructor(photo) {
    this.photo = photo;
    this.made = { key: null };
  }

  /** Saves the entry whose name ends so, or the whole archive for ".zip".
   *
   * @param options {alpha, mode}, and what `post` takes.
   */
  async save(ending, { alpha, mode, ...options }) {
    const key = `${alpha} ${mode}`;
    if (this.made.key !== key) {
      const response = await post("bands", { image: this.photo, alpha, mode }, options);
      const buffer = await response.arrayBuffer();
      this.made = { key, buffer, entries: await readArchive(buffer) };
    }
    const names = Object.keys(this.made.entries);
    const colours = names.find((name) => name.endsWith(".colorized.png"));
    if (ending === ".zip") hand(colours.replace(/colorized\.png$/, "huebands.zip"), this.made.buffer);
    else {
      const name = names.find((candidate) => candidate.endsWith(ending));
      hand(name, this.made.entries[name]);
    }
  }
}

function hand(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: TYPES[name.split(".").pop()] }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

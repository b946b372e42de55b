// Keeps colorized photos in this browser, so that they are there after a reload. Nothing leaves the browser.

const NAME = "huebands";
const PHOTOS = "photos";
const VERSION = 1;

/** Opens the store; an error says why this browser keeps nothing. */
export async function openStore() {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => request.result.createObjectStore(PHOTOS, { keyPath: "id" });
  return new Store(await resultOf(request));
}

class Store {
  constructor(database) {
    this.database = database;
  }

  /** All photos, oldest first. */
  async all() {
    return resultOf(this.#photos("readonly").getAll());
  }

  /** Keeps a photo, in place of one with the same id. */
  async put(photo) {
    await resultOf(this.#photos("readwrite").put(photo));
  }

  /** Forgets a photo. */
  async remove(id) {
    await resultOf(this.#photos("readwrite").delete(id));
  }

  #photos(mode) {
    return this.database.transaction(PHOTOS, mode).objectStore(PHOTOS);
  }
}

function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

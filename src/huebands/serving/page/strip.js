// The strip of photos: a small picture of each with its name, what there is to say of it, and a button that removes it.

const STATES = { waiting: "waiting", working: "being colorized", done: "", refused: "refused" };

export class Strip {
  /**
   * @param element with a list and a .status.
   * @param onChoose called with a photo that someone wants to see.
   * @param onRemove called with a photo that someone wants to remove.
   */
  constructor(element, { onChoose, onRemove }) {
    this.element = element;
    this.list = element.querySelector("ul");
    this.onChoose = onChoose;
    this.onRemove = onRemove;
    this.items = new Map();
  }

  /** Shows the photos, in order.
   *
   * @param photos {id, name, state, reason, notes, thumbnail} each: state is a key of STATES, reason that of a refusal,
   *   notes are short warnings, and thumbnail is a Blob or null.
   * @param chosen the id of the one that the page shows.
   */
  show(photos, chosen) {
    this.element.hidden = photos.length === 0;
    const ids = new Set(photos.map(({ id }) => id));
    for (const [id, item] of this.items) if (!ids.has(id)) this.#forget(id, item);
    for (const photo of photos) this.#update(photo, photo.id === chosen);
  }

  #update(photo, isChosen) {
    const item = this.items.get(photo.id) ?? this.#add(photo);
    const { button, element, thumbnail } = item;
    item.photo = photo;
    element.dataset.state = photo.state;
    button.setAttribute("aria-current", isChosen);
    if (photo.thumbnail !== item.shown) {
      URL.revokeObjectURL(thumbnail.src);
      thumbnail.src = URL.createObjectURL(photo.thumbnail);
      thumbnail.hidden = false;
      item.shown = photo.thumbnail;
    }
    button.querySelector(".name").textContent = photo.name;
    const reason = photo.reason.replace(`${photo.name}: `, ""); // the name stands above
    const notes = [STATES[photo.state], reason, ...photo.notes].filter(Boolean);
    button.querySelector(".notes").textContent = notes.join("; ");
  }

  #add(photo) {
    const element = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", className: "photo" });
    const thumbnail = Object.assign(document.createElement("img"), { alt: "", hidden: true });
    const name = Object.assign(document.createElement("span"), { className: "name" });
    const notes = Object.assign(document.createElement("span"), { className: "notes" });
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "remove", textContent: "×" });
    remove.setAttribute("aria-label", `Remove ${photo.name}`);
    const item = { button, element, thumbnail, photo, shown: null };
    button.append(thumbnail, name, notes);
    button.addEventListener("click", () => this.onChoose(item.photo));
    remove.addEventListener("click", () => this.onRemove(item.photo));
    element.append(button, remove);
    this.list.append(element);
    this.items.set(photo.id, item);
    return item;
  }

  #forget(id, { element, thumbnail }) {
    URL.revokeObjectURL(thumbnail.src);
    element.remove();
    this.items.delete(id);
  }
}

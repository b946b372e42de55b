// The two borders between grey, colours and map in one frame: dragged, stepped by keys, or set to a view.

const FINE = 1;
const COARSE = 10;
const VIEWS = { colours: [0, 100], grey: [100, 100], map: [0, 0], all: [33, 67] }; // percent of the width

export class Borders {
  /**
   * @param stage with two .handle.
   * @param onMove called when someone has moved a border.
   */
  constructor(stage, onMove) {
    this.stage = stage;
    this.onMove = onMove;
    this.handles = [...stage.querySelectorAll(".handle")];
    this.handles.forEach((handle, index) => this.#listen(handle, index));
    this.show("colours");
  }

  /** Shows one of the pictures whole, or "all" of them in parts. */
  show(view) {
    this.positions = [...VIEWS[view]];
    this.#apply();
  }

  #listen(handle, index) {
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      handle.focus();
      event.preventDefault();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const frame = this.stage.getBoundingClientRect();
      this.#move(index, ((event.clientX - frame.left) / frame.width) * 100);
    });
    handle.addEventListener("keydown", (event) => {
      const position = positionForKey(event, this.positions[index]);
      if (position === null) return;
      event.preventDefault();
      this.#move(index, position);
    });
  }

  #move(index, position) {
    const lowest = index === 0 ? 0 : this.positions[0];
    const highest = index === 0 ? this.positions[1] : 100;
    this.positions[index] = Math.min(Math.max(position, lowest), highest);
    this.#apply();
    this.onMove();
  }

  #apply() {
    const [left, right] = this.positions;
    this.stage.style.setProperty("--left", `${left}%`);
    this.stage.style.setProperty("--right", `${right}%`);
    this.handles.forEach((handle, index) => {
      const otherPosition = this.positions[1 - index];
      handle.setAttribute("aria-valuenow", Math.round(this.positions[index]));
      handle.setAttribute("aria-valuemin", index === 0 ? 0 : Math.round(otherPosition));
      handle.setAttribute("aria-valuemax", index === 0 ? Math.round(otherPosition) : 100);
      handle.setAttribute("aria-valuetext", `${Math.round(this.positions[index])}% from the left`);
    });
  }
}

function positionForKey(event, position) {
  const step = event.shiftKey ? COARSE : FINE;
  const moves = {
    ArrowLeft: position - step,
    ArrowDown: position - step,
    ArrowRight: position + step,
    ArrowUp: position + step,
    PageDown: position - COARSE,
    PageUp: position + COARSE,
    Home: 0,
    End: 100,
  };
  return moves[event.key] ?? null;
}

// What the page says beside a photo that needs care, and what can be done about it.

import { unlikenessOf } from "./words.js";

const ACTIONS = { crop: "Crop the border", again: "Colorize again" };
const COLOUR = {
  colour: ["This photo has colour of its own. It is not used: these colours are new ones, made from the grey alone.", "has colour"],
  tinted: ["This photo has a tint, such as sepia. It is not used: these colours are made from the grey alone.", "has a tint"],
};

/** What there is to say of a photo: [{text, short, action}]; action is a key of ACTIONS where a click helps, else null.
 *
 * @param description of its exploration.
 * @param served the version of the served model; undefined: unknown.
 */
export function adviceFor({ likeness, unlike_p_value: limit, looks_drawn: looksDrawn, border, own_colour: ownColour, model }, served) {
  const advice = [];
  if (served !== undefined && served !== model.version) {
    advice.push({ text: `Another model, ${model.name}, made these colours.`, short: "made by another model", action: "again" });
  }
  if (likeness <= limit) advice.push({ text: unlikenessOf(likeness, looksDrawn), short: looksDrawn ? "page or drawing?" : "unusual photo", action: null });
  if (border && !border.cropped) {
    advice.push({ text: "A border around the picture was found. Without it, all colours belong to the picture.", short: "has a border", action: "crop" });
  }
  if (ownColour in COLOUR) {
    const [text, short] = COLOUR[ownColour];
    advice.push({ text, short, action: null });
  }
  return advice;
}

/** Shows the advice as paragraphs, with a button where one click helps.
 *
 * @param onAction called with the action whose button was clicked.
 */
export function showAdvice(element, advice, onAction) {
  const paragraphs = advice.map(({ text, action }) => {
    const paragraph = Object.assign(document.createElement("p"), { textContent: text });
    if (action !== null) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: ACTIONS[action] });
      button.addEventListener("click", () => onAction(action));
      paragraph.append(" ", button);
    }
    return paragraph;
  });
  element.replaceChildren(...paragraphs);
}

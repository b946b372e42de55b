// Before and after to keep: one picture, or one HTML file that needs nothing else.

const MARGIN = 16; // pixels
const LARGEST_SIDE = 8192; // pixels: some browsers have no larger canvas

/** Makes a PNG with the grey photo, the colours, and a line that says what they are.
 *
 * @param keepsake {name, grey, colours, note}: name of the photo, two canvases of one size, and a line below.
 */
export function pictureOf({ name, grey, colours, note }) {
  const scale = Math.min(1, (LARGEST_SIDE - 3 * MARGIN) / (2 * grey.width), LARGEST_SIDE / (grey.height + 200));
  const [width, height] = [grey.width, grey.height].map((side) => Math.max(Math.round(side * scale), 1));
  const size = Math.max(Math.round(width / 32), 12);
  const canvas = document.createElement("canvas");
  canvas.width = 2 * Math.max(width, 10 * size) + 3 * MARGIN;
  const context = canvas.getContext("2d");
  const font = `${size}px system-ui, sans-serif`;
  context.font = font;
  const lines = [`${name}: before and after`, ...wrapped(context, note, canvas.width - 2 * MARGIN)];
  canvas.height = height + 2 * MARGIN + Math.ceil(1.4 * size * lines.length) + MARGIN;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(grey, MARGIN, MARGIN, width, height);
  context.drawImage(colours, canvas.width - MARGIN - width, MARGIN, width, height);
  context.fillStyle = "#222";
  context.font = font; // a canvas that is set to a size forgets it
  lines.forEach((line, index) => context.fillText(line, MARGIN, height + 2 * MARGIN + 1.4 * size * (index + 0.8)));
  return blobOf(canvas);
}

function wrapped(context, text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (context.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.filter(Boolean);
}

const STYLE = `
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
  .pair { position: relative } .pair img, figure img { display: block; width: 100% }
  .pair img + img { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--border, 50%)) }
  input { width: 100% } figure { margin: 1.5rem 0; break-inside: avoid } .scale { display: flex; gap: .6rem; align-items: center }
  .scale img { flex: 1; height: .7rem; min-width: 0 } h1, p { overflow-wrap: anywhere }`;
const SCRIPT = 'document.querySelector("input").addEventListener("input", (event) => document.querySelector(".pair").style.setProperty("--border", event.target.value + "%"));';

/** Makes an HTML file of the photo before and after, with a border to drag, the map and its scale, and the promise.
 *
 * @param keepsake {name, grey, colours, map, scale, ends, sentences}: canvases, the words at the scale's ends, and
 *   paragraphs below.
 */
export function fileOf({ name, grey, colours, map, scale, ends, sentences }) {
  const inert = document.implementation.createHTMLDocument(""); // its pictures are not loaded here
  const make = (tag, attributes = {}, ...children) => {
    const element = inert.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children); // texts stay texts: no name is read as HTML
    return element;
  };
  const picture = (canvas, alt) => make("img", { src: canvas.toDataURL("image/png"), alt });
  const slider = make("input", { type: "range", min: "0", max: "100", value: "50" });
  const parts = [
    make("h1", {}, name),
    make("div", { class: "pair" }, picture(grey, "The grey photo"), picture(colours, "The colorized photo")),
    make("label", {}, "Border between before and after", slider),
    make("figure", {}, picture(map, "Map of uncertainty"),
      make("figcaption", { class: "scale" }, make("span", {}, ends[0]), picture(scale, ""), make("span", {}, ends[1]))),
    ...sentences.map((sentence) => make("p", {}, sentence)),
  ];
  const head = ['<meta charset="utf-8">', '<meta name="viewport" content="width=device-width, initial-scale=1">', make("title", {}, name).outerHTML];
  const body = [...parts.map((part) => part.outerHTML), `<script>${SCRIPT}</script>`];
  const html = ["<!doctype html>", '<html lang="en">', "<head>", ...head, `<style>${STYLE}</style>`, "</head>", "<body>", ...body, "</body>", "</html>", ""];
  return new Blob([html.join("\n")], { type: "text/html" });
}

function blobOf(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob === null ? reject(new Error("this browser cannot make so large a picture")) : resolve(blob)), "image/png");
  });
}

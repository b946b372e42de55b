"use strict";
const $ = (id) => document.getElementById(id);
const content = JSON.parse($("content").textContent);
const {photos, metrics, candidates, truth, pictures} = content;
const ofPhotos = metrics.filter((metric) => metric.of_photos);
let order = photos.map((_, index) => index);
let current = 0;

// Texts go in as text nodes: no name or title is ever read as HTML.
function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function cellOf(cell) {
  const element = make("td", cell ? cell.value : "");
  if (cell?.spread) element.append(...cell.spread.split("; ").map((part) => make("small", part)));
  if (cell?.best) {
    element.className = "best";
    element.append(make("span", " (best)", {class: "hidden"}));
  }
  return element;
}

function fill(table, corner, columns, rows) {
  const head = make("tr");
  head.append(make("th", corner, {scope: "col"}), ...columns.map((name) => make("th", name, {scope: "col"})));
  const lines = rows.map(([name, cells]) => {
    const line = make("tr");
    line.append(make("th", name, {scope: "row"}), ...cells.map(cellOf));
    return line;
  });
  const parts = [make("thead"), make("tbody")];
  parts[0].append(head);
  parts[1].append(...lines);
  table.replaceChildren(...parts);
}

const columns = [...candidates.map(({name}) => name), truth];

function showOverall() {
  $("about").textContent = `${content.name}: ${content.summary}`;
  $("notes").replaceChildren(...content.notes.map((note) => make("p", note)));
  for (const {name, description} of candidates) $("candidates").append(make("dt", name), make("dd", description));
  const rows = columns.map((name) => [name, metrics.map(({key}) => content.overall[key][name])]);
  fill($("overall"), `${photos.length} photos`, metrics.map(({heading}) => heading), rows);
}

function showPictures() {
  const {pictures: photoPictures, title} = photos[current];
  for (const [side, image] of [["left", "over"], ["right", "under"]]) {
    const name = $(side).value;
    $(image).src = photoPictures[name];
    $(image).alt = `${title}: ${name}`;
    $(`${side}-tag`).textContent = name;
  }
  showSlider();
}

function showSlider() {
  const percent = $("slider").value;
  $("frame").style.setProperty("--position", `${percent}%`);
  $("slider").setAttribute("aria-label", `Share of ${$("left").value} beside ${$("right").value}`);
  $("slider").setAttribute("aria-valuetext", `${percent}% ${$("left").value}`);
}

function showPhoto(index) {
  current = index;
  const photo = photos[index];
  $("frame").style.setProperty("--aspect", photo.aspect);
  $("title").replaceChildren(photo.title, make("small", `${order.indexOf(index) + 1} of ${photos.length}`));
  fill($("photo-figures"), "", columns, ofPhotos.map(({key, heading}) => [heading, columns.map((name) => photo.cells[key][name])]));
  const button = document.querySelector(`#strip input[value="${index}"]`);
  button.checked = true;
  showPictures();
}

function step(offset) {
  const position = order.indexOf(current) + offset;
  showPhoto(order[(position + photos.length) % photos.length]);
}

// A missing figure is infinite: the PSNR of a photo that equals its truth.
const figure = (index) => photos[index].figures[$("candidate").value][$("metric").value] ?? Infinity;

function sortPhotos() {
  const way = $("way").value;
  $("metric").disabled = $("candidate").disabled = way === "given";
  order = photos.map((_, index) => index);
  if (way !== "given") {
    const {better} = metrics.find(({key}) => key === $("metric").value);
    const sign = (better === "higher") === (way === "best") ? -1 : 1;
    order.sort((a, b) => (figure(a) === figure(b) ? 0 : sign * (figure(a) - figure(b))));
  }
  showStrip();
  showPhoto(order[0]);
}

function showStrip() {
  const {value: key} = $("metric"), {value: name} = $("candidate");
  const isGivenOrder = $("way").value === "given";
  $("strip").replaceChildren(...order.map((index) => {
    const {title, pictures: photoPictures, cells} = photos[index];
    const label = make("label", "", {title});
    const button = make("input", "", {type: "radio", name: "photo", value: index, "aria-label": title});
    button.addEventListener("change", () => showPhoto(index));
    label.append(button, make("img", "", {src: photoPictures[truth], alt: ""}));
    if (!isGivenOrder) label.append(make("span", cells[key][name].value));
    return label;
  }));
}

function dragTo(event) {
  const box = $("frame").getBoundingClientRect();
  $("slider").value = Math.round(100 * (event.clientX - box.left) / box.width);
  showSlider();
}

$("frame").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  event.preventDefault();
  $("slider").focus({preventScroll: true, focusVisible: false});
  $("frame").setPointerCapture(event.pointerId);
  dragTo(event);
});
$("frame").addEventListener("pointermove", (event) => {
  if ($("frame").hasPointerCapture(event.pointerId)) dragTo(event);
});
$("slider").addEventListener("input", showSlider);
for (const side of ["left", "right"]) $(side).addEventListener("change", showPictures);
for (const id of ["way", "metric", "candidate"]) $(id).addEventListener("change", sortPhotos);
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
document.addEventListener("keydown", (event) => {
  const offset = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  // The slider, the lists, the photos and wide tables use these keys themselves.
  if (!offset || event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, .scroll")) return;
  event.preventDefault();
  step(offset);
});

const last = candidates[candidates.length - 1].name;
for (const side of ["left", "right"]) $(side).append(...pictures.map((name) => make("option", name)));
$("left").value = pictures.includes(last) ? last : pictures[0];
$("right").value = truth;
$("metric").append(...ofPhotos.filter(({better}) => better).map((metric) => make("option", metric.heading, {value: metric.key})));
$("metric").value = "ciede2000";
$("candidate").append(...candidates.map(({name}) => make("option", name)));
$("candidate").value = last;
showOverall();
sortPhotos();

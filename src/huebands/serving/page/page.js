// The page: a photo is uploaded once, then the bands of any confidence are computed here.

import { Alternatives } from "./alternatives.js";
import { Downloads } from "./downloads.js";
import { readExploration, stepsAt } from "./exploration.js";
import { HeatMap, drawScale } from "./heat.js";
import { Hints } from "./hints.js";
import { Intake } from "./intake.js";
import { Readout } from "./readout.js";
import { Reference } from "./reference.js";
import { Refusal, getJson, post } from "./requests.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const chosen = (group) => $(group).querySelector("input:checked").value;

const readout = new Readout($("readout"));
const heat = new HeatMap(document.querySelector(".heat canvas"), showMean);
const stage = new Stage($("stage"), showPixel, (pixel) => hints.add(pixel));
const alternatives = new Alternatives($("alternatives"), showColouring);
const hints = new Hints($("hints"), stage, { onExplored: showGuided, onError: showError });
const reference = new Reference($("reference"), { onExplored: showGuided, onError: showError });
let photo = null; // the photo on the page: an exploration, the fields it was asked with, its downloads and the crosshair
let request = null; // an AbortController of the newest upload

async function open(file) {
  request?.abort();
  request = new AbortController();
  const { signal } = request;
  showError(null);
  showProgress(`Colorizing ${file.name}…`);
  try {
    const onWait = (seconds) => showProgress(`The service is busy; next try in ${seconds} s…`);
    const response = await post("explore", { image: file }, { signal, onWait });
    const exploration = await readExploration(await response.arrayBuffer());
    if (!signal.aborted) begin(exploration, file);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  } finally {
    if (request.signal === signal) showProgress("");
  }
}

/** Shows another photo. */
function begin(exploration, file) {
  const { description, nestedBands } = exploration;
  show(exploration, { image: file }, null);
  drawScale($("scale"), description.tables.heat);
  $("photo").textContent = `${description.photo}, ${description.width} × ${description.height}`;
  $("done").textContent = `${description.photo} is colorized.`;
  $("stride").textContent = describeStride(description.stride);
  $("files-status").textContent = "";
  $("warning").textContent =
    description.likeness <= description.unlike_p_value
      ? `This photo is unlike the calibration photos (p = ${description.likeness.toFixed(3)}): the promise may not hold for it.`
      : "";
  limitConfidence(description);
  document.body.classList.add("explored");
  $("result").hidden = false;
  stage.show(nestedBands.width, nestedBands.height);
  hints.begin(file, description);
  reference.begin(file);
  update();
}

/** Shows the photo with other hints or another reference; all that someone has set stays. */
function showGuided(exploration, fields) {
  show(exploration, fields, photo.point);
  update();
}

function show(exploration, fields, point) {
  photo = { ...exploration, fields, downloads: new Downloads(fields), point, pixels: exploration.nestedBands.shown };
  copy(exploration.grey, document.querySelector(".grey canvas"));
  copy(exploration.colorized, document.querySelector(".colorized canvas"));
  document.querySelector(".colorized figcaption").textContent = "Colorized";
  alternatives.begin(exploration.colorized);
  heat.explore(exploration);
  offerMaps(exploration.errorMap);
}

function describeStride(stride) {
  if (stride === 1) return "";
  const ordinal = { 2: "2nd", 3: "3rd" }[stride] ?? `${stride}th`;
  return `Every ${ordinal} pixel of each row and column is shown; the downloads have every pixel.`;
}

/** Offers both maps, the expected error first, or hides the choice where there are only widths. */
function offerMaps(errorMap) {
  const [error, width] = ["expected-error", "width"].map((map) => $("map").querySelector(`[value=${map}]`));
  if (errorMap === null) width.checked = true;
  else if ($("map").hidden) error.checked = true;
  $("map").hidden = errorMap === null;
}

/** Names the map that is shown, and its scale. */
function nameMap(map) {
  const names = { "expected-error": "Expected error", width: "Band width" };
  const scaleEnds = { "expected-error": () => `${photo.errorMap.top} CIEDE2000`, width: () => "255 levels" };
  const name = names[map];
  $("map-name").textContent = name;
  $("scale-end").textContent = scaleEnds[map]();
  document.querySelector(".heat figcaption").textContent = name;
  $("stage").setAttribute("aria-label", `Grey, colorized and ${name.toLowerCase()}. Arrow keys move the crosshair.`);
  document.querySelector(".handle.second").setAttribute("aria-label", `Border between colorized and ${name.toLowerCase()}`);
}

/** Shows one of the photo's colourings; the bands stay as they are. */
function showColouring(canvas, name) {
  document.querySelector(".colorized figcaption").textContent = name;
  copy(canvas, document.querySelector(".colorized canvas"));
  photo.pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  if (photo.point !== null) showPixel({ ...photo.point, byKey: false });
}

async function drawAlternatives() {
  const note = $("alternatives").querySelector(".hint");
  const onWait = (seconds) => { note.textContent = `The service is busy; next try in ${seconds} s…`; };
  showError(null);
  note.textContent = "Drawing…";
  try {
    await alternatives.draw(photo.fields, chosenGuarantee(), { onWait, signal: new AbortController().signal });
  } catch (error) {
    note.textContent = "";
    showError(error);
  }
}

function copy(source, target) {
  target.width = source.width;
  target.height = source.height;
  target.getContext("2d").drawImage(source, 0, 0);
}

function limitConfidence({ steps, calibration_photos: photos }) {
  const supported = Object.keys(steps.per_channel).map(Number);
  for (const input of [$("confidence"), $("confidence-number")]) {
    input.min = Math.min(...supported);
    input.max = Math.max(...supported);
  }
  const highest = Math.floor(1000 * (1 - 1 / (photos + 1))) / 10;
  $("support").textContent = `${photos} calibration photos support at most ${highest}%, which is 1 − 1/(n + 1).`;
  setConfidence(Number($("confidence").value));
}

function setConfidence(percent) {
  const { min, max } = $("confidence");
  const allowed = Math.min(Math.max(Math.round(percent) || 0, Number(min)), Number(max));
  $("confidence").value = allowed;
  $("confidence-number").value = allowed;
}

/** The guarantee that the controls of the page are set to. */
function chosenGuarantee() {
  const confidence = Number($("confidence").value);
  const mode = chosen("mode");
  return { confidence, alpha: (100 - confidence) / 100, mode, steps: stepsAt(photo.description, confidence, mode) };
}

function update() {
  if (photo === null) return;
  const { confidence, mode, steps } = chosenGuarantee();
  const map = chosen("map");
  $("confidence").setAttribute("aria-valuetext", `${confidence}%`);
  const { caveat, law } = photo.description;
  $("promise").textContent = caveat ?? [promiseOf(confidence, mode), law].filter(Boolean).join(" ");
  nameMap(map);
  heat.draw(steps, mode, map);
  if (photo.point !== null) showPixel({ ...photo.point, byKey: false });
}

function promiseOf(confidence, mode) {
  const share = `On average over photos like the calibration photos, at least ${confidence}% of`;
  const sentenceEnd = { per_channel: "the channel values lie in their bands.", joint: "the pixels have all three channels in their bands." };
  return `${share} ${sentenceEnd[mode]} The promise is about photos as a whole: it says nothing about one pixel, and does not hold for photos of another kind.`;
}

function showMean(mean, isComplete) {
  $("mean").textContent = mean.toFixed(1);
  $("mean").dataset.complete = isComplete;
}

function showPixel({ row, column, byKey }) {
  photo.point = { row, column };
  const { nestedBands, errorMap, description } = photo;
  const { steps, mode } = chosenGuarantee();
  const pixel = row * nestedBands.width + column;
  const grey = nestedBands.grey[pixel];
  readout.show(
    {
      x: column * description.stride,
      y: row * description.stride,
      grey,
      shown: Array.from(photo.pixels.subarray(4 * pixel, 4 * pixel + 3)),
      bounds: nestedBands.boundsOfPixel(row, column, steps, mode),
      gamutRange: [0, 1, 2].map((channel) => nestedBands.gamutRange(grey, channel)),
      error: errorMap === null ? null : errorMap.at(row, column),
    },
    byKey,
  );
}

/** Shows an error; null: none. */
function showError(error) {
  if (error === null) $("error").textContent = "";
  else $("error").textContent = error instanceof Refusal ? error.message : `This page failed: ${error.message}`;
}

function showProgress(text) {
  $("progress").hidden = text === "";
  $("progress-text").textContent = text;
}

async function download(ending) {
  const { alpha, mode } = chosenGuarantee();
  const status = $("files-status");
  const onWait = (seconds) => { status.textContent = `The service is busy; next try in ${seconds} s…`; };
  const { downloads } = photo;
  showError(null);
  status.textContent = "Making the files at full size…";
  try {
    await downloads.save(ending, { alpha, mode, map: chosen("map"), onWait, signal: new AbortController().signal });
  } catch (error) {
    showError(error);
  } finally {
    status.textContent = "";
  }
}

function listen() {
  new Intake({ onPhoto: open, onReference: (file) => reference.take(file), onError: showError });
  $("cancel").addEventListener("click", () => request?.abort());
  $("confidence").addEventListener("input", (event) => { setConfidence(Number(event.target.value)); update(); });
  $("confidence-number").addEventListener("change", (event) => { setConfidence(Number(event.target.value)); update(); });
  $("mode").addEventListener("change", update);
  $("map").addEventListener("change", update);
  $("arrangement").addEventListener("change", () => stage.arrange(chosen("arrangement") === "split"));
  $("alternatives").querySelector("button").addEventListener("click", drawAlternatives);
  $("files").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button !== null) download(button.dataset.ending);
  });
}

async function showModel() {
  try {
    const { hints: takesHints, like: takesReference, limits, name, samples, version } = await getJson("model");
    alternatives.offer(samples > 0);
    hints.offer(takesHints === true);
    reference.offer(takesReference === true);
    $("limits").textContent =
      `${limits.formats.join(", ")}; up to ${Math.round(limits.pixels / 1e6)} megapixels and ${Math.round(limits.body_bytes / 2 ** 20)} MB. Only its lightness is used, so colour photos are fine.`;
    $("model").textContent = `Model ${name}, version ${version}.`;
  } catch (error) {
    showError(error);
  }
}

listen();
showModel();

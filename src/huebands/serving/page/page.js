// The page: photos are uploaded once each, then the bands of any confidence are computed here.

import { adviceFor, showAdvice } from "./advice.js";
import { Collection } from "./collection.js";
import { $, chosen } from "./dom.js";
import { readExploration } from "./exploration.js";
import { Intake } from "./intake.js";
import { OtherModel, Refusal, getJson } from "./requests.js";
import { Result, setConfidence } from "./result.js";
import { Saving } from "./saving.js";
import { keepSettings, keptSettings } from "./settings.js";
import { Strip } from "./strip.js";

const KEYS = { c: "colours", g: "grey", m: "map" };

const result = new Result({ onError: showError, onExplored });
const strip = new Strip($("photos"), { onChoose: choose, onRemove: remove });
const collection = new Collection({
  onChange: showStrip,
  onDone,
  onRefused,
  onProgress: showProgress,
  onUnkept: (text) => { $("unkept").textContent = text; },
});
let awaited = new Set(); // photos of the newest upload: the first that is done is shown
let served; // the version of the served model
let current = null; // the photo of the collection that is chosen

function open(files) {
  showError(null);
  $("mean").dataset.complete = false;
  awaited = new Set(collection.add(files));
}

async function onDone(photo, exploration) {
  if (!awaited.has(photo) && photo !== current) return;
  awaited.clear();
  current = photo;
  await followModel(exploration.description.model.version);
  if (current !== photo) return; // another one was chosen meanwhile
  begin(photo, exploration);
  $("done").textContent = `${photo.name} is colorized.`;
  $("photo").focus();
}

function onExplored(answer) {
  collection.replace(current, answer);
  followModel(answer.exploration.description.model.version);
}

function onRefused(photo, error) {
  $("error").textContent = [$("error").textContent, messageOf(error)].filter(Boolean).join(" ");
  const wasAwaited = awaited.delete(photo);
  if (wasAwaited && awaited.size === 0) hide(photo); // none of the newest photos can be shown
}

/** Shows a photo of the strip. */
async function choose(photo) {
  awaited.clear();
  showError(null);
  if (photo.archive === null) {
    hide(photo);
    if (photo.state === "refused") $("error").textContent = photo.reason;
    return;
  }
  current = photo;
  try {
    const exploration = await readExploration(photo.archive);
    if (current === photo) begin(photo, exploration); // else another one was chosen meanwhile
  } catch (error) {
    hide(photo);
    showError(new Refusal(`${photo.name}: what was kept of it cannot be read (${error.message}). Remove it, and drop it again.`));
  }
}

function begin(photo, exploration) {
  current = photo;
  document.body.classList.add("explored");
  $("files-status").textContent = "";
  advise(photo, exploration.description);
  result.begin(exploration, photo.name, photo.fields);
  showStrip();
  keep();
}

/** Says what there is to say of the photo on show. */
function advise(photo, description) {
  const fieldsFor = { crop: { image: photo.fields.image, crop_border: "true" }, again: photo.fields };
  showAdvice($("warning"), adviceFor(description, served), (action) => collection.redo(photo, fieldsFor[action]));
}

/** Shows a photo that is not colorized: no other one stays on show in its place. */
function hide(photo) {
  current = photo;
  result.hide();
  $("warning").replaceChildren();
  $("done").textContent = "";
  showStrip();
}

function remove(photo) {
  collection.remove(photo);
  if (photo !== current) return;
  showError(null);
  hide(null);
  const next = collection.photos.findLast(({ state }) => state === "done");
  if (next !== undefined) choose(next);
  (document.querySelector("#photos .photo") ?? $("file")).focus(); // the button that had the focus is gone
}

function showStrip() {
  strip.show(collection.photos, current?.id);
}

function update() {
  result.update();
  keep();
}

function keep() {
  keepSettings({ photo: current?.id, confidence: $("confidence").value, mode: chosen("mode") });
}

/** Shows what was on show before a reload. */
async function restore() {
  const { photo: id, confidence, mode } = keptSettings();
  await collection.restore();
  if (current !== null || awaited.size > 0) return; // someone was faster
  if (confidence !== undefined) setConfidence(Number(confidence));
  if (mode !== undefined) $("mode").querySelector(`[value=${CSS.escape(mode)}]`).checked = true;
  const photos = collection.photos.filter(({ state }) => state === "done");
  const last = photos.find((photo) => photo.id === id) ?? photos.at(-1);
  if (last !== undefined) await choose(last);
}

/** Shows an error; null: none. */
function showError(error) {
  $("error").textContent = error === null ? "" : messageOf(error);
  if (error instanceof OtherModel) showModel().then(() => { if (result.view !== null) advise(current, result.view.description); });
}

function messageOf(error) {
  return error instanceof Refusal ? error.message : `This page failed: ${error.message}`;
}

function showProgress(text) {
  $("progress").hidden = text === "";
  $("progress-text").textContent = text;
}

function arrangeByKey(event) {
  const arrangement = KEYS[event.key.toLowerCase()];
  const isTyping = event.target.matches("input:not([type=radio], [type=range], [type=checkbox])");
  if (arrangement === undefined || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const input = $("arrangement").querySelector(`[value=${arrangement}]`);
  input.checked = true;
  result.arrange(arrangement);
}

function listen() {
  new Intake({ onPhotos: open, onReference: (file) => result.reference.take(file), onError: showError });
  new Saving(result, showError);
  $("cancel").addEventListener("click", () => collection.cancel());
  $("confidence").addEventListener("input", (event) => { setConfidence(Number(event.target.value)); update(); });
  $("confidence-number").addEventListener("change", (event) => { setConfidence(Number(event.target.value)); update(); });
  $("mode").addEventListener("change", update);
  $("map").addEventListener("change", update);
  $("arrangement").addEventListener("change", () => result.arrange(chosen("arrangement")));
  $("result").addEventListener("keydown", arrangeByKey);
  const folds = document.querySelectorAll("details");
  window.addEventListener("beforeprint", () => folds.forEach((fold) => { fold.dataset.wasOpen = fold.open; fold.open = true; }));
  window.addEventListener("afterprint", () => folds.forEach((fold) => { fold.open = fold.dataset.wasOpen === "true"; }));
}

/** Takes notice of the model that the service has now, where it has made an answer. */
async function followModel(version) {
  if (version !== served) await showModel();
}

async function showModel() {
  try {
    const model = await getJson("model");
    const { limits, name, version } = model;
    served = version;
    result.offer(model);
    $("limits").textContent =
      `${limits.formats.join(", ")}; up to ${Math.round(limits.pixels / 1e6)} megapixels and ${Math.round(limits.body_bytes / 2 ** 20)} MB each. Only the lightness is used, so colour photos are fine.`;
    $("model").textContent = `Model ${name}, version ${version}.`;
  } catch (error) {
    showError(error);
  }
}

listen();
await showModel();
await restore();

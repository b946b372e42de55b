// The page about the served model: what GET /model says, in words.

import { $ } from "./dom.js";

const ALARMS = {
  drift: ["Kind of photos", "photos are unlike those that the ranges were checked with more often than chance explains"],
  coverage: ["Ranges", "true values of photos in colour leave their ranges more often than promised"],
};

function make(tag, text, attributes = {}) {
  const element = Object.assign(document.createElement(tag), { textContent: text });
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function list(element, facts) {
  element.replaceChildren(...facts.flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
}

function abilities({ hints, like, samples, maps }) {
  const all = [
    [true, "colours"],
    [maps.includes("expected-error"), "a map of the likely error"],
    [samples > 0, `up to ${samples} alternatives`],
    [hints, "painted hints"],
    [like, "a reference photo"],
  ];
  return all.filter(([isPossible]) => isPossible).map(([, name]) => name).join(", ");
}

function describe(model) {
  const { name, version, huebands, source, registry, in_use_since: since, limits, calibration_photos: photos } = model;
  list($("about"), [
    ["Name", name],
    ["Version", version],
    ["From", registry === null ? source : `${registry.model}, version ${registry.version} of the registry`],
    ["In use since", since === null ? "the start of the service" : new Date(since).toLocaleString()],
    ["Made with", `Huebands ${huebands}`],
    ["Gives", abilities(model)],
    ["Takes", `${limits.formats.join(", ")}; up to ${Math.round(limits.pixels / 1e6)} megapixels`],
    ["Ranges set with", `${photos} photos`],
  ]);
}

function showCoverage({ test_photos: photos, curve }) {
  $("tested").textContent = `On ${photos} photos that were used for nothing else:`;
  const rows = curve
    .filter(({ mode }) => mode === "per_channel")
    .map(({ alpha, coverage, width }) => {
      const row = document.createElement("tr");
      const percent = Math.round(100 * (1 - alpha));
      row.append(make("th", `${percent}%`, { scope: "row" }), make("td", `${(100 * coverage).toFixed(1)}%`), make("td", width.toFixed(0)));
      return row;
    });
  $("coverage").querySelector("tbody").replaceChildren(...rows);
}

function showAlarms({ monitoring, following }) {
  const since = new Date(monitoring.since).toLocaleString();
  const watched = Object.entries(ALARMS).map(([alarm, [name, meaning]]) => {
    const { state, photos } = monitoring[alarm];
    const seen = `${photos} ${photos === 1 ? "photo" : "photos"} since ${since}`;
    return [name, state === "alarm" ? `Alarm: ${meaning} (${seen}).` : `No alarm; ${seen}.`];
  });
  list($("alarms"), following === null ? watched : [...watched, ["New versions", describeFollowing(following)]]);
}

function describeFollowing({ address, alarm, last_error: error, last_checked: checked }) {
  if (alarm !== null) {
    const found = alarm.version === null ? `the version behind ${address} cannot be found` : `version ${alarm.version} of ${address} was refused`;
    return `Alarm: ${found}: ${alarm.reason}.`;
  }
  if (error !== null) return `The registry does not answer: ${error.reason}.`;
  return `No alarm; ${address} was looked at last on ${checked === null ? "no day yet" : new Date(checked).toLocaleString()}.`;
}

try {
  const response = await fetch("../model");
  if (!response.ok) throw new Error(`the service answered ${response.status}`);
  const model = await response.json();
  describe(model);
  showCoverage(model.certificate);
  showAlarms(model);
} catch (error) {
  $("error").textContent = `The model cannot be shown: ${error.message}.`;
}

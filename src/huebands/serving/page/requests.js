// Sends requests to the service, and explains to the user why there is no answer.

const BUSY = [429, 503];
const MAX_TRIES = 20;
const DEFAULT_WAIT = 5; // seconds

/** The service refuses, or cannot be reached; the message is for the user. */
export class Refusal extends Error {}

/** The service has another model than the one that has made what is on show. */
export class OtherModel extends Refusal {
  constructor() {
    super("The service has another model now, whose colours differ from those on show: colorize the photo again.");
  }
}

/** Posts a form; while the service is busy, waits and tries again.
 *
 * @param onWait called with the seconds until the next try.
 * @param version of the model that must answer; undefined: any.
 * @throws Refusal, or an AbortError when the signal aborts.
 */
export async function post(path, fields, { signal, onWait, version }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (let tries = 1; ; tries += 1) {
    const response = await send(path, { method: "POST", body: form, signal });
    if (response.ok && version !== undefined && response.headers.get("Huebands-Version") !== version) throw new OtherModel();
    if (response.ok) return response;
    if (!BUSY.includes(response.status) || tries === MAX_TRIES) throw new Refusal(await reasonOf(response));
    const seconds = Number(response.headers.get("Retry-After")) || DEFAULT_WAIT;
    onWait(seconds);
    await pause(seconds * 1000, signal);
  }
}

/** Of the fields that a photo was explored with, those that are the photo itself: neither hints nor a reference. */
export function photoOf({ image, crop_border: cropBorder }) {
  return cropBorder === undefined ? { image } : { image, crop_border: cropBorder };
}

/** Fetches JSON. */
export async function getJson(path) {
  const response = await send(path, {});
  if (!response.ok) throw new Refusal(await reasonOf(response));
  return response.json();
}

async function send(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The service cannot be reached. Check that it runs, and that the photo is still on disk.");
  }
}

async function reasonOf(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `The service answered ${response.status} ${response.statusText}`;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

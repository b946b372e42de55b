// Asks the service, and says in words a person can use why there is no answer.

const BUSY = [429, 503];
const MAX_TRIES = 20;
const USUAL_WAIT = 5; // seconds

/** The service does not do what was asked; the message is for the person who asked. */
export class Refusal extends Error {}

/** Posts a form; waits and asks again while the service is busy.
 *
 * @param onWait is told the seconds until the next try.
 * @throws Refusal, or an AbortError when the signal says so.
 */
export async function post(path, fields, { signal, onWait }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (let tries = 1; ; tries += 1) {
    const response = await ask(path, { method: "POST", body: form, signal });
    if (response.ok) return response;
    if (!BUSY.includes(response.status) || tries === MAX_TRIES) throw new Refusal(await reasonOf(response));
    const seconds = Number(response.headers.get("Retry-After")) || USUAL_WAIT;
    onWait(seconds);
    await pause(seconds * 1000, signal);
  }
}

/** Fetches JSON. */
export async function getJson(path) {
  const response = await ask(path, {});
  if (!response.ok) throw new Refusal(await reasonOf(response));
  return response.json();
}

async function ask(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The service cannot be reached. Is it still there, and the photo still on disk?");
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

// What someone has set on the page, kept in this browser: which photo is shown, the confidence and what counts.

const KEY = "huebands";

/** The settings that were kept; {} where there are none. */
export function keptSettings() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // a browser that forbids storage keeps no photos either, and the page says so
  }
}

/** Keeps settings. */
export function keepSettings(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // as above
  }
}

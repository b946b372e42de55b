// CIELAB of 8-bit sRGB (IEC 61966-2-1, D65), and names of colours in words.

const LINEAR = Float64Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});
const LARGEST_PART = 216 / 24389; // where the cube root ends in a line
const HUES = [[15, "pink"], [48, "red"], [75, "orange"], [103, "yellow"], [165, "green"], [225, "turquoise"], [298, "blue"], [335, "purple"], [360, "pink"]];

/** L, a and b of R, G and B. */
export function labOf(red, green, blue) {
  const r = LINEAR[red];
  const g = LINEAR[green];
  const b = LINEAR[blue];
  const x = root((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
  const y = root(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
  const z = root((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** A colour in words, such as "dark greyish red". */
export function nameOf([red, green, blue]) {
  const [L, a, b] = labOf(red, green, blue);
  const chroma = Math.hypot(a, b);
  if (L < 8) return "black";
  if (L > 96 && chroma < 8) return "white";
  const shade = L < 32 ? "dark " : L > 75 ? "light " : "";
  if (chroma < 5) return `${shade}grey`;
  const hue = hueOf(L, a, b);
  return chroma < 16 ? `${shade}greyish ${hue}` : `${shade}${hue}`;
}

function hueOf(L, a, b) {
  const degrees = ((Math.atan2(b, a) * 180) / Math.PI + 360) % 360;
  const name = HUES.find(([end]) => degrees <= end)[1];
  const isBrown = (name === "orange" && L < 60) || (name === "yellow" && degrees < 88 && L < 60);
  return isBrown ? "brown" : name;
}

function root(part) {
  return part > LARGEST_PART ? Math.cbrt(part) : (part * (24389 / 27) + 16) / 116;
}

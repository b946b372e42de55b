// Reads the zips that the service sends: their sizes are known in front of each entry, one after the other.

const ENTRY = 0x04034b50;
const DEFLATED = 8;

/** Gives the entries of a zip as {name: Uint8Array}. */
export async function readArchive(buffer) {
  const view = new DataView(buffer);
  const entries = {};
  let at = 0;
  while (at + 30 <= buffer.byteLength && view.getUint32(at, true) === ENTRY) {
    const method = view.getUint16(at + 8, true);
    const size = view.getUint32(at + 18, true);
    const nameLength = view.getUint16(at + 26, true);
    const start = at + 30 + nameLength + view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 30, nameLength));
    const content = new Uint8Array(buffer, start, size);
    entries[name] = method === DEFLATED ? await inflate(content) : content;
    at = start + size;
  }
  return entries;
}

async function inflate(content) {
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

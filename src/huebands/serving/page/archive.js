// Reads the zip archives of the service, which have the sizes in each entry's header.

const ENTRY = 0x04034b50;
const DEFLATED = 8;

/** Reads the entries of a zip as {name: Uint8Array}. */
export async function readArchive(buffer) {
  const view = new DataView(buffer);
  const entries = {};
  let offset = 0;
  while (offset + 30 <= buffer.byteLength && view.getUint32(offset, true) === ENTRY) {
    const method = view.getUint16(offset + 8, true);
    const size = view.getUint32(offset + 18, true);
    const nameLength = view.getUint16(offset + 26, true);
    const start = offset + 30 + nameLength + view.getUint16(offset + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(buffer, offset + 30, nameLength));
    const content = new Uint8Array(buffer, start, size);
    entries[name] = method === DEFLATED ? await inflate(content) : content;
    offset = start + size;
  }
  return entries;
}

async function inflate(content) {
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

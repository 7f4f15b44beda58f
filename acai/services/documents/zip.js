/** Entries of a zip archive, inflated piece by piece, never more than the limits allow. */

import { DocumentError, LIMITS } from './errors.js';

const damaged = (cause) => new DocumentError('doc.damaged', { format: 'zip' }, { cause });
const bomb = (size) => new DocumentError('doc.zipBomb', { size });
const MIB = 2 ** 20;
const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
const crc32 = (bytes, from) => bytes.reduce((crc, byte) => (crc >>> 8) ^ TABLE[(crc ^ byte) & 255], from);

/** @typedef {{name: string, flags: number, method: number, crc: number, packed: number, size: number, offset: number}} Entry */

/**
 * An archive, read through its directory.
 * @param {Uint8Array} bytes of the whole file
 * @returns {{entries: Map<string, Entry>, read: (name: string) => Promise<Uint8Array>}}
 * @throws {DocumentError} doc.damaged, doc.zipBomb, doc.encrypted
 */
export function unzip(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = directory(bytes, view);
  let left = LIMITS.inflated;
  return {
    entries,
    async read(name) {
      const entry = entries.get(name);
      if (entry.flags & 1) throw new DocumentError('doc.encrypted', { format: 'zip' });
      const content = await inflate(packed(bytes, view, entry), entry, left);
      left -= content.length;
      return content;
    },
  };
}

/** The central directory: name -> entry. */
function directory(bytes, view) {
  let end = bytes.length - 22;
  while (end >= 0 && end > bytes.length - 22 - 65536 && view.getUint32(end, true) !== END) end -= 1;
  if (end < 0 || view.getUint32(end, true) !== END) throw damaged();
  const count = view.getUint16(end + 10, true);
  if (count > LIMITS.entries) throw bomb(count);
  let at = view.getUint32(end + 16, true);
  const entries = new Map();
  for (let number = 0; number < count; number += 1) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== ENTRY) throw damaged();
    const [nameLength, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    entries.set(new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength)), {
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + nameLength + extra + comment;
  }
  return entries;
}

/** The packed bytes of an entry. */
function packed(bytes, view, { offset, packed: size }) {
  if (offset + 30 > bytes.length || view.getUint32(offset, true) !== LOCAL) throw damaged();
  const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  if (start + size > bytes.length) throw damaged();
  return bytes.subarray(start, start + size);
}

/** Inflate an entry, stopping at once when it grows beyond `left` or beyond reason. */
async function inflate(content, { method, crc, size }, left) {
  if (method !== 0 && method !== 8) throw new DocumentError('doc.unsupported', { type: `zip ${method}` });
  if (size > left) throw bomb(size);
  if (method === 0) return checked([content], content.length, { crc, size });
  const reader = new Blob([content]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  const pieces = [];
  let total = 0;
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      total += piece.value.length;
      if (total > left || (total > MIB && total > LIMITS.ratio * content.length)) throw bomb(total);
      pieces.push(piece.value);
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    throw error instanceof DocumentError ? error : damaged(error);
  }
  return checked(pieces, total, { crc, size });
}

/** The pieces as one, if they are what the directory says. */
function checked(pieces, total, { crc, size }) {
  const whole = new Uint8Array(total);
  let [at, sum] = [0, ~0];
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
    sum = crc32(piece, sum);
  }
  if (total !== size || (~sum >>> 0) !== crc) throw damaged();
  return whole;
}

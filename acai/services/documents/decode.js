/** Bytes of a text file to a string: UTF-8, UTF-16, Windows-1256 (Arabic) or Windows-1252, found from the bytes alone. */

import { DocumentError } from './errors.js';

const SAMPLE = 64 * 1024;
/** Bytes that no text holds: C0 controls without tab, line feed, form feed and return. */
const CONTROL = (byte) => byte < 9 || byte === 11 || (byte > 13 && byte < 32 && byte !== 27) || byte === 127;
const CONTROLS_ALLOWED = 0.002;

const share = (bytes, test) => bytes.reduce((sum, byte, at) => sum + (test(byte, at) ? 1 : 0), 0) / bytes.length;

/** UTF-16 without a mark: the high byte of nearly every unit is 0 (Latin), 6 (Arabic) or 0x20 (punctuation). */
function utf16(bytes) {
  if (bytes.length < 4 || bytes.length % 2) return null;
  const part = bytes.subarray(0, SAMPLE);
  const high = (parity) => share(part, (byte, at) => at % 2 === parity && (byte === 0 || byte === 6 || byte === 0x20)) * 2;
  const zero = share(part, (byte, at) => byte === 0 || byte === 6);
  if (zero < 0.3) return null;
  const [even, odd] = [high(0), high(1)];
  if (odd > 0.95 && odd > even) return 'utf-16le';
  return even > 0.95 && even > odd ? 'utf-16be' : null;
}

/** Whether bytes read as Windows-1256 are words of Arabic letters, not Latin ones with accents between. */
function arabic(bytes) {
  const text = new TextDecoder('windows-1256').decode(bytes.subarray(0, SAMPLE));
  const letters = text.match(/[\u0621-\u064a\u067e\u0686\u0698\u06af]/g)?.length ?? 0;
  const words = text.match(/[\u0621-\u064a\u067e\u0686\u0698\u06af]{2,}/g)?.join('').length ?? 0;
  const mixed = text.match(/[A-Za-z][\u0621-\u064a]|[\u0621-\u064a][A-Za-z]/g)?.length ?? 0;
  return letters > 0 && words >= 0.7 * letters && mixed < 0.1 * letters;
}

/**
 * The encoding of some bytes.
 * @param {Uint8Array} bytes
 * @returns {string} a label for TextDecoder
 * @throws {DocumentError} doc.binary
 */
export function encoding(bytes) {
  const [a, b, c] = bytes;
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8';
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  if (a === 0xfe && b === 0xff) return 'utf-16be';
  const wide = utf16(bytes);
  if (wide) return wide;
  if (share(bytes.subarray(0, SAMPLE), CONTROL) > CONTROLS_ALLOWED || bytes.includes(0)) throw new DocumentError('doc.binary');
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return 'utf-8';
  } catch {
    return arabic(bytes) ? 'windows-1256' : 'windows-1252';
  }
}

/**
 * Decode a text file.
 * @param {Uint8Array} bytes
 * @param {string} [declared] the encoding that the document names itself; used if the bytes do not say otherwise
 * @returns {string}
 * @throws {DocumentError} doc.binary
 */
export function decode(bytes, declared) {
  let label = encoding(bytes);
  if (declared && label.startsWith('windows')) {
    try {
      label = new TextDecoder(declared).encoding;
    } catch {
      // a name that no one knows: keep what was found
    }
  }
  return new TextDecoder(label).decode(bytes);
}

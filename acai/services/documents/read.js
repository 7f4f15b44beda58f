/** A file the user drops in, to its title and text. What a file is says its content first, its name second. */

import { decode } from './decode.js';
import { readDocx } from './docx.js';
import { DocumentError, LIMITS, checkLength } from './errors.js';
import { readHtml } from './html.js';
import { readPdf } from './pdf.js';

export { DocumentError, LIMITS } from './errors.js';

const LONGEST_TITLE = 120;
const KINDS = { pdf: 'pdf', docx: 'docx', html: 'html', htm: 'html', xhtml: 'html', md: 'md', markdown: 'md', txt: 'txt', text: 'txt' };
/** Formats that are known and not read. */
const OTHERS = new Set('doc dot docm rtf odt ods odp xls xlsx ppt pptx epub pages numbers key zip rar 7z gz tar'.split(' '));
const CONTROLS = /[\u0000-\u0008\u000b\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/g;

const starts = (bytes, ...signature) => signature.every((byte, at) => bytes[at] === byte);
const ascii = (bytes, length) => String.fromCharCode(...bytes.subarray(0, length));

/** Whether a compound file (old Word, or an encrypted new one) holds the stream of an encrypted package. */
function locked(bytes) {
  const name = [...'EncryptedPackage'].flatMap((letter) => [letter.charCodeAt(0), 0]);
  for (let at = bytes.indexOf(0x45); at >= 0; at = bytes.indexOf(0x45, at + 1)) {
    if (name.every((byte, offset) => bytes[at + offset] === byte)) return true;
  }
  return false;
}

/** The kind of a file: pdf, docx, html, md or txt. */
function kindOf(bytes, name) {
  const extension = /\.([a-z0-9]{1,8})$/i.exec(name)?.[1].toLowerCase() ?? '';
  const named = KINDS[extension];
  if (ascii(bytes, 1024).includes('%PDF-')) return 'pdf';
  if (starts(bytes, 0x50, 0x4b, 3, 4) || starts(bytes, 0x50, 0x4b, 5, 6)) return 'docx';
  if (starts(bytes, 0xd0, 0xcf, 0x11, 0xe0)) throw new DocumentError(locked(bytes) ? 'doc.encrypted' : 'doc.unsupported', { type: extension || 'doc' });
  if (ascii(bytes, 5) === '{\\rtf') throw new DocumentError('doc.unsupported', { type: 'rtf' });
  if (named === 'pdf' || named === 'docx') throw new DocumentError('doc.damaged', { format: named });
  if (OTHERS.has(extension)) throw new DocumentError('doc.unsupported', { type: extension });
  if (named) return named;
  return /^\s*(?:<!doctype html|<html)/i.test(ascii(bytes, 512)) ? 'html' : 'txt';
}

/** A text without what no reader should see: controls, marks that turn the direction of others, half characters. */
const clean = (text) => text.replace(/\r\n?/g, '\n').replace(/[\u2028\u2029\f\v]/g, '\n').replace(CONTROLS, '').toWellFormed();

/** One line to call a document by. */
function title(...choices) {
  const found = choices.map((choice) => clean(choice ?? '').replace(/\s+/g, ' ').trim()).find(Boolean) ?? '';
  return [...found].slice(0, LONGEST_TITLE).join('');
}

/** Markdown without front matter, and its first heading. */
function markdown(bytes) {
  const text = clean(decode(bytes)).replace(/^---\n[\s\S]{0,20000}?\n---\n/, '');
  return { title: /^#{1,2}[ \t]+(.{1,300})$/m.exec(text)?.[1].replace(/[*_`#]+/g, ''), text };
}

const READERS = {
  pdf: readPdf,
  docx: readDocx,
  html: readHtml,
  md: markdown,
  txt: (bytes) => ({ text: decode(bytes) }),
};

/**
 * Read a document: txt, md, html, pdf or docx.
 * @param {File} file
 * @returns {Promise<{title: string, text: string, pages?: number}>}
 * @throws {DocumentError} doc.tooLarge, doc.empty, doc.binary, doc.damaged, doc.zipBomb, doc.encrypted, doc.unsupported
 */
export async function read(file) {
  if (file.size > LIMITS.file) throw new DocumentError('doc.tooLarge', { size: file.size, limit: LIMITS.file, unit: 'bytes' });
  if (!file.size) throw new DocumentError('doc.empty');
  const bytes = new Uint8Array(await file.arrayBuffer());
  const kind = kindOf(bytes, file.name ?? '');
  const found = await READERS[kind](bytes);
  checkLength(found.text.length);
  const text = clean(found.text).trim();
  if (!/[\p{L}\p{Nd}]/u.test(text)) throw new DocumentError('doc.empty', found.pages ? { pages: found.pages } : {});
  const name = (file.name ?? '').replace(/^.*[\\/]/, '').replace(/\.[a-z0-9]{1,8}$/i, '');
  return { title: title(found.title, name, kind), text, ...(found.pages ? { pages: found.pages } : {}) };
}

/** What can be wrong with a document, and how much of one is read. */

const MIB = 2 ** 20;

export const LIMITS = Object.freeze({
  file: 50 * MIB, // bytes of a file
  text: 10 * MIB, // characters of its text
  inflated: 64 * MIB, // bytes out of one zip archive
  ratio: 250, // bytes out of an entry for each byte of it, once they are more than a mebibyte
  entries: 4096, // files in an archive
  pages: 3000, // of a PDF
  seconds: 120, // for a PDF
});

/**
 * A document that cannot be read. `key` names a string: doc.tooLarge, doc.empty, doc.binary, doc.damaged, doc.zipBomb,
 * doc.encrypted, doc.unsupported.
 */
export class DocumentError extends Error {
  /**
   * @param {string} key
   * @param {Record<string, string|number>} [params]
   * @param {ErrorOptions} [options]
   */
  constructor(key, params = {}, options) {
    super(key, options);
    this.name = 'DocumentError';
    this.key = key;
    this.params = params;
  }
}

/** Refuse a text beyond the limit. @param {number} length */
export function checkLength(length) {
  if (length > LIMITS.text) throw new DocumentError('doc.tooLarge', { size: length, limit: LIMITS.text, unit: 'characters' });
}

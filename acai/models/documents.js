/** Documents of a user. Their text lies apart, in pieces, so that a list of documents reads none of it. */

import { change, guard, owned, record, removeBy, together } from './database.js';
import { nameOf } from './users.js';
import { StoreError } from './errors.js';

export const PIECE = 32768;
const LONGEST_TITLE = 200;

/** @typedef {{id: string, user: string, created: number, title: string, name: string, bytes: number, characters: number, pages: number|null}} Document */

const title = (text) => [...String(text ?? '').replace(/[\p{Cc}\p{Cf}]/gu, ' ').replace(/\s+/g, ' ').trim()].slice(0, LONGEST_TITLE).join('');

/** @returns {Promise<Document[]>} the newest first */
export async function list(db, user) {
  return (await guard(() => db.getAllFromIndex('documents', 'user', user))).sort((one, other) => other.created - one.created);
}

/** @param {{title: string, text: string, name?: string, bytes?: number, pages?: number}} document @returns {Promise<Document>} */
export function add(db, user, { title: given, text, name = '', bytes = 0, pages = null }) {
  if (typeof text !== 'string' || !text.trim()) throw new StoreError('models.invalid');
  return together(db, ['documents', 'chunks'], async (transaction) => {
    const made = record({ user, title: title(given) || title(name) || '—', name: title(name), bytes, characters: text.length, pages: Number.isInteger(pages) ? pages : null });
    await transaction.objectStore('documents').add(made);
    for (let start = 0, index = 0; start < text.length; start += PIECE, index += 1) {
      const piece = text.slice(start, start + PIECE);
      await transaction.objectStore('chunks').add(record({ user, document: made.id, index, start, end: start + piece.length, text: piece }));
    }
    return made;
  });
}

/** @returns {Promise<Document>} */
export const get = (db, user, id) => owned(db, 'documents', user, id);

/** The whole text of a document. @returns {Promise<string>} */
export async function textOf(db, user, id) {
  await owned(db, 'documents', user, id);
  const pieces = await guard(() => db.getAllFromIndex('chunks', 'document', id));
  return pieces.sort((one, other) => one.index - other.index).map(({ text }) => text).join('');
}

/** @param {{title: string}} fields */
export function update(db, user, id, { title: given }) {
  if (!nameOf(given)) throw new StoreError('models.invalid');
  return change(db, 'documents', user, id, { title: title(given) });
}

/** Remove a document with its text. */
export async function remove(db, user, id) {
  await owned(db, 'documents', user, id);
  return together(db, ['documents', 'chunks'], async (transaction) => {
    await removeBy(transaction, 'chunks', 'document', id);
    await transaction.objectStore('documents').delete(id);
  });
}

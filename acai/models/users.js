/** The people who share this device, and the guest. A user owns everything that bears their id. */

import { change, guard, record, removeBy, STORES, together } from './database.js';
import { StoreError } from './errors.js';

const LONGEST = 60;

/** @typedef {{id: string, user: string, created: number, name: string, guest: boolean}} User */

/** Spaces in order, no control characters or direction marks, not too long. */
export const nameOf = (text) =>
  [...String(text ?? '').replace(/[\p{Cc}\p{Cf}]/gu, '').replace(/\s+/g, ' ').trim()].slice(0, LONGEST).join('');

/** @param {import('./database.js').DB} db @returns {Promise<User[]>} the guest first, then in the order of arrival */
export async function list(db) {
  const all = await guard(() => db.getAll('users'));
  return all.sort((one, other) => Number(other.guest) - Number(one.guest) || one.created - other.created);
}

/** The guest, made the first time. @returns {Promise<User>} */
export function guest(db) {
  return together(db, ['users'], async (transaction) => {
    const users = transaction.objectStore('users');
    const found = (await users.getAll()).find((user) => user.guest);
    if (found) return found;
    const made = record({ name: '', guest: true });
    made.user = made.id;
    await users.add(made);
    return made;
  });
}

/** @param {import('./database.js').DB} db @param {string} name @returns {Promise<User>} @throws {StoreError} models.invalid, models.name_taken */
export function add(db, name) {
  const wanted = nameOf(name);
  if (!wanted) throw new StoreError('models.invalid');
  return together(db, ['users'], async (transaction) => {
    const users = transaction.objectStore('users');
    if ((await users.getAll()).some((user) => user.name === wanted)) throw new StoreError('models.name_taken', { name: wanted });
    const made = record({ name: wanted, guest: false });
    made.user = made.id;
    await users.add(made);
    return made;
  });
}

/** @returns {Promise<User|undefined>} */
export const get = (db, id) => guard(() => db.get('users', id));

/** Rename. @param {{name: string}} fields */
export function update(db, id, { name }) {
  const wanted = nameOf(name);
  if (!wanted) throw new StoreError('models.invalid');
  return change(db, 'users', id, id, { name: wanted });
}

/** Remove everything that a user has. @param {{keep?: boolean}} [options] keep: the user's own record @returns {Promise<number>} records removed */
export function clear(db, id, { keep = true } = {}) {
  return together(db, Object.keys(STORES), async (transaction) => {
    let count = 0;
    for (const [store, indexes] of Object.entries(STORES)) {
      if (indexes.includes('user')) count += await removeBy(transaction, store, 'user', id);
    }
    if (!keep) await transaction.objectStore('users').delete(id);
    return count;
  });
}

/** Remove a user with chats, questions, answers, documents and all. */
export const remove = (db, id) => clear(db, id, { keep: false });

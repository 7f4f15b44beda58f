/** The database: its stores, its versions and how one becomes the next. Everything lies on this device, in IndexedDB. */

import { openDB } from '../vendor/idb.js';
import { StoreError, told } from './errors.js';

/** @typedef {import('idb').IDBPDatabase} DB */

export const VERSION = 2;
/** Store -> its indexes. Every record has `id`, `user` and `created`. */
export const STORES = Object.freeze({
  users: [], chats: ['user'], queries: ['user', 'chat'], responses: ['user', 'chat', 'query'], agents: ['user'],
  llms: ['user'], documents: ['user'], chunks: ['user', 'document'],
});
const FIRST = ['users', 'chats', 'queries', 'responses', 'agents', 'llms'];
const TITLE = 80;

/** The beginning of a text as a title. */
export const titleOf = (text) => [...String(text ?? '').replace(/\s+/g, ' ').trim()].slice(0, TITLE).join('');

function create(db, names) {
  for (const name of names) {
    const store = db.createObjectStore(name, { keyPath: 'id' });
    for (const index of STORES[name]) store.createIndex(index, index);
  }
}

/** What makes a database of version n out of one of version n - 1, inside the upgrade's transaction. */
const STEPS = {
  1: (db) => create(db, FIRST),
  /** Chats get a title, their first question, and when they were last used; documents and their pieces get stores. */
  async 2(db, transaction) {
    create(db, ['documents', 'chunks']);
    const chats = transaction.objectStore('chats');
    chats.createIndex('recent', ['user', 'updated']);
    for (let cursor = await chats.openCursor(); cursor; cursor = await cursor.continue()) {
      const asked = await transaction.objectStore('queries').index('chat').getAll(cursor.value.id);
      asked.sort((one, other) => one.created - other.created);
      await cursor.update(upgradeChat(cursor.value, asked));
    }
  },
};

/** A chat of version 1 as one of version 2. */
export function upgradeChat(chat, asked) {
  const last = asked.reduce((latest, { created }) => Math.max(latest, created), chat.created);
  return { ...chat, title: chat.title ?? titleOf(asked[0]?.text), updated: chat.updated ?? last };
}

/**
 * Open the database, made or brought up to date first.
 * @param {string} [name]
 * @param {{version?: number, onClosed?: () => void, onBlocked?: () => void}} [options] version: an older one, for tests of
 *   the migration; onClosed: another tab needs a newer version, this one has let go; onBlocked: another tab must first
 * @returns {Promise<DB>}
 * @throws {StoreError} models.newer, models.unavailable, models.quota
 */
export async function open(name = 'acai', { version = VERSION, onClosed = () => {}, onBlocked = () => {} } = {}) {
  if (!globalThis.indexedDB) throw new StoreError('models.unavailable');
  let db;
  try {
    db = await openDB(name, version, {
      async upgrade(found, from, to, transaction) {
        for (let step = from + 1; step <= to; step += 1) await STEPS[step](found, transaction);
      },
      blocked: onBlocked,
      blocking() {
        db?.close();
        onClosed();
      },
      terminated: onClosed,
    });
    return db;
  } catch (error) {
    throw told(error);
  }
}

/** A new record. */
export const record = (fields) => ({ ...fields, id: crypto.randomUUID(), created: Date.now() });

/** Run what touches the database; its faults come as StoreError. @template T @param {() => Promise<T>} act @returns {Promise<T>} */
export async function guard(act) {
  try {
    return await act();
  } catch (error) {
    throw told(error);
  }
}

/**
 * Everything or nothing over some stores.
 * @param {DB} db
 * @param {string[]} stores
 * @param {(transaction: object) => Promise<unknown>} act
 */
export function together(db, stores, act) {
  return guard(async () => {
    const transaction = db.transaction(stores, 'readwrite');
    const end = transaction.done;
    end.catch(() => {}); // told by what follows
    try {
      const value = await act(transaction);
      await end;
      return value;
    } catch (error) {
      try {
        transaction.abort();
      } catch { /* it is over already */ }
      await end.catch(() => {});
      throw transaction.error ?? error;
    }
  });
}

/** Delete the records of an index's key inside a transaction. @returns {Promise<number>} */
export async function removeBy(transaction, store, index, key) {
  const keys = await transaction.objectStore(store).index(index).getAllKeys(key);
  await Promise.all(keys.map((one) => transaction.objectStore(store).delete(one)));
  return keys.length;
}

/**
 * A record for its owner.
 * @param {DB} db @param {string} store @param {string} user @param {string} id
 * @throws {StoreError} models.missing when there is none, or it is another user's
 */
export async function owned(db, store, user, id) {
  const found = await guard(() => db.get(store, id));
  if (!found || found.user !== user) throw new StoreError('models.missing');
  return found;
}

/** Change fields of a record that stay its owner's. */
export function change(db, store, user, id, fields) {
  return together(db, [store], async (transaction) => {
    const found = await transaction.objectStore(store).get(id);
    if (!found || found.user !== user) throw new StoreError('models.missing');
    const next = { ...found, ...fields, id: found.id, user: found.user, created: found.created };
    await transaction.objectStore(store).put(next);
    return next;
  });
}

/** Everything of a user as one JSON file, and back. A file from anybody is checked whole before anything is written. */

import { checkBackup, KINDS, LIMITS } from './check.js';
import { guard, together, upgradeChat, VERSION } from './database.js';
import { StoreError } from './errors.js';
import * as users from './users.js';

/**
 * @param {import('./database.js').DB} db
 * @param {string} user
 * @returns {Promise<Blob>} JSON
 */
export async function exportAll(db, user) {
  const owner = await users.get(db, user);
  if (!owner) throw new StoreError('models.missing');
  const stores = {};
  const transaction = db.transaction(KINDS); // one moment of the database
  await guard(async () => {
    for (const name of KINDS) {
      const found = await transaction.objectStore(name).index('user').getAll(user);
      stores[name] = found.map(({ user: _, ...fields }) => fields);
    }
  });
  const told = { format: 'acai-backup', version: VERSION, exported: new Date().toISOString(), name: owner.name, stores };
  return new Blob([JSON.stringify(told)], { type: 'application/json' });
}

/** Read and parse; a file that is too large is not read. */
async function parse(file) {
  if (file.size > LIMITS.file) throw new StoreError('backup.too_large', { limit: LIMITS.file });
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
    return JSON.parse(text);
  } catch (error) {
    if (text === undefined && error?.name === 'NotReadableError') throw new StoreError('backup.unreadable');
    throw new StoreError('backup.not_a_backup');
  }
}

/**
 * Add what a backup holds to a user. What the user has already stays as it is; an id that another user has is replaced.
 * All of it is written, or nothing.
 * @param {import('./database.js').DB} db
 * @param {Blob} file
 * @param {string} user
 * @returns {Promise<Record<string, number>>} records added, by store, and `skipped`
 * @throws {StoreError} backup.*, models.quota
 */
export async function importAll(db, file, user) {
  if (!(await users.get(db, user))) throw new StoreError('models.missing');
  const { version, stores } = checkBackup(await parse(file));
  if (version === 1) {
    stores.chats = stores.chats.map((chat) =>
      upgradeChat(chat, stores.queries.filter((query) => query.chat === chat.id).sort((one, other) => one.created - other.created)));
  }
  return together(db, KINDS, async (transaction) => {
    const counts = { skipped: 0 };
    const renamed = new Map();
    const present = new Set();
    for (const name of KINDS) {
      for (const { id } of stores[name]) {
        const found = await transaction.objectStore(name).get(id);
        if (found?.user === user) present.add(id);
        else if (found) renamed.set(id, crypto.randomUUID());
      }
    }
    const now = (id) => renamed.get(id) ?? id;
    for (const name of KINDS) {
      counts[name] = 0;
      for (const fields of stores[name]) {
        if (present.has(fields.id) || present.has(fields.document)) { // a text that is here is not added to
          counts.skipped += 1;
          continue;
        }
        const next = { ...fields, id: now(fields.id), user };
        for (const field of ['chat', 'query', 'document', 'llm']) if (next[field]) next[field] = now(next[field]);
        await transaction.objectStore(name).add(next);
        counts[name] += 1;
      }
    }
    return counts;
  });
}

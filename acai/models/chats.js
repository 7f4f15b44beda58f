/** Conversations of a user, with their questions and answers. */

import { change, guard, owned, record, removeBy, titleOf, together } from './database.js';

/** @typedef {{id: string, user: string, created: number, updated: number, title: string}} Chat */

/** @param {import('./database.js').DB} db @param {string} user @returns {Promise<Chat[]>} the last used first */
export async function list(db, user) {
  const range = IDBKeyRange.bound([user, -Infinity], [user, Infinity]);
  return (await guard(() => db.getAllFromIndex('chats', 'recent', range))).reverse();
}

/** @returns {Promise<Chat>} */
export async function add(db, user, { title = '' } = {}) {
  const made = record({ user, title: titleOf(title) });
  made.updated = made.created;
  await guard(() => db.add('chats', made));
  return made;
}

/** @returns {Promise<Chat>} */
export const get = (db, user, id) => owned(db, 'chats', user, id);

/** @param {{title?: string}} fields; the time of the last use is set */
export const update = (db, user, id, { title } = {}) =>
  change(db, 'chats', user, id, { updated: Date.now(), ...(title === undefined ? {} : { title: titleOf(title) }) });

/** Remove a chat with its questions and answers. */
export async function remove(db, user, id) {
  await owned(db, 'chats', user, id);
  return together(db, ['chats', 'queries', 'responses'], async (transaction) => {
    await removeBy(transaction, 'queries', 'chat', id);
    await removeBy(transaction, 'responses', 'chat', id);
    await transaction.objectStore('chats').delete(id);
  });
}

/**
 * What was said in a chat, in order.
 * @returns {Promise<{query: object, responses: object[]}[]>}
 */
export async function exchanges(db, user, chat) {
  await owned(db, 'chats', user, chat);
  const [queries, responses] = await guard(() =>
    Promise.all([db.getAllFromIndex('queries', 'chat', chat), db.getAllFromIndex('responses', 'chat', chat)]));
  const inOrder = (one, other) => one.created - other.created;
  return queries.sort(inOrder).map((query) => ({
    query, responses: responses.filter((response) => response.query === query.id).sort(inOrder),
  }));
}

/** Remove one question with its answers. */
export async function removeQuery(db, user, id) {
  await owned(db, 'queries', user, id);
  return together(db, ['queries', 'responses'], async (transaction) => {
    await removeBy(transaction, 'responses', 'query', id);
    await transaction.objectStore('queries').delete(id);
  });
}

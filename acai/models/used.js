/** What a user has used: agents (how often, and what goes with them) and models (as they were loaded). */

import { guard, record, together } from './database.js';

const only = (transaction, store, user, same) =>
  transaction.objectStore(store).index('user').getAll(user).then((all) => all.find(same));

/** Count a question to an agent. */
export function agent(db, user, id) {
  return together(db, ['agents'], async (transaction) => {
    const found = await only(transaction, 'agents', user, (one) => one.agent === id);
    const next = { ...(found ?? record({ user, agent: id, uses: 0 })), last: Date.now() };
    next.uses += 1;
    await transaction.objectStore('agents').put(next);
    return next;
  });
}

/** Remember a loaded model. @param {object} info what `LLM.info()` tells @returns {Promise<object>} */
export function llm(db, user, { id: model, name, device, form, context, bytes }) {
  return together(db, ['llms'], async (transaction) => {
    const found = await only(transaction, 'llms', user, (one) => one.model === model && one.device === device && one.form === form);
    const next = { ...(found ?? record({ user, model, name, device, form, context, bytes })), last: Date.now() };
    await transaction.objectStore('llms').put(next);
    return next;
  });
}

/** @param {'agents'|'llms'} store @returns {Promise<object[]>} */
export const list = (db, user, store) => guard(() => db.getAllFromIndex(store, 'user', user));

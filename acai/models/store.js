/** The store that services/orchestrator.js writes questions and answers to, for one user. */

import { change, owned, record, titleOf, together } from './database.js';
import { StoreError } from './errors.js';

/** Fields alone that are data. */
const data = (value) => JSON.parse(JSON.stringify(value));

/**
 * @param {import('./database.js').DB} db
 * @param {string} user
 * @param {{llm?: () => string|null}} [options] llm: the record id of the model that answers
 */
export function storeOf(db, user, { llm = () => null } = {}) {
  return {
    /** A question; its chat gets a title from the first one, and is the last used. */
    async addQuery({ chat, text, agent, route = null, language = 'ar' }) {
      await owned(db, 'chats', user, chat);
      return together(db, ['queries', 'chats'], async (transaction) => {
        const made = record(data({ user, chat, text, agent, route, language }));
        await transaction.objectStore('queries').add(made);
        const found = await transaction.objectStore('chats').get(chat);
        if (!found) throw new StoreError('models.missing');
        await transaction.objectStore('chats').put({ ...found, title: found.title || titleOf(text), updated: made.created });
        return made;
      });
    },
    /** An answer, also one that is only beginning; none for a chat that is gone. */
    addResponse({ chat, query, agent, text = '', state = 'writing', ...more }) {
      return together(db, ['responses', 'chats'], async (transaction) => {
        if ((await transaction.objectStore('chats').get(chat))?.user !== user) throw new StoreError('models.missing');
        const made = record(data({ ...more, user, chat, query, agent, text, state, llm: llm() }));
        await transaction.objectStore('responses').add(made);
        return made;
      });
    },
    updateResponse: (id, changes) => change(db, 'responses', user, id, data(changes)),
  };
}

/** What the application does with the data of the user of now: the models layer and the search index kept in step. */

import * as backup from './backup.js';
import * as chats from './chats.js';
import { STORES, together } from './database.js';
import * as documents from './documents.js';
import { StoreError } from './errors.js';
import { storeOf } from './store.js';
import * as used from './used.js';
import * as users from './users.js';

/** Bound to one database and one search; `user` changes. */
export class Session {
  #db;
  #retrieval;
  #indexed = new Set();
  user = null;
  llm = null;

  /** @param {import('./database.js').DB} db @param {object} retrieval of services/retrieval */
  constructor(db, retrieval) {
    this.#db = db;
    this.#retrieval = retrieval;
  }

  /** Become a user; an unknown id is the guest. Their documents are put into the index. */
  async enter(id) {
    this.user = (id && (await users.get(this.#db, id))) || (await users.guest(this.#db));
    this.llm = null;
    return this.user;
  }

  /** Put the documents of the user into the index that are not in it. */
  async index() {
    const user = this.user.id;
    for (const { id, title } of await documents.list(this.#db, user)) {
      if (this.#indexed.has(id)) continue;
      this.#indexed.add(id);
      const text = await documents.textOf(this.#db, user, id).catch(() => null); // removed meanwhile
      if (text) await this.#retrieval.add({ id, title, text, user });
    }
  }

  chats = () => chats.list(this.#db, this.user.id);
  addChat = () => chats.add(this.#db, this.user.id);
  renameChat = (id, title) => chats.update(this.#db, this.user.id, id, { title });
  removeChat = (id) => chats.remove(this.#db, this.user.id, id);
  exchanges = (id) => chats.exchanges(this.#db, this.user.id, id);
  removeQuery = (id) => chats.removeQuery(this.#db, this.user.id, id);
  documents = () => documents.list(this.#db, this.user.id);
  textOf = (id) => documents.textOf(this.#db, this.user.id, id);
  users = () => users.list(this.#db);
  addUser = (name) => users.add(this.#db, name);
  renameUser = (id, name) => users.update(this.#db, id, { name });
  exportAll = () => backup.exportAll(this.#db, this.user.id);
  countAgent = (agent) => used.agent(this.#db, this.user.id, agent);

  /** Remember which model answers from now on. */
  async useModel(info) {
    this.llm = info ? (await used.llm(this.#db, this.user.id, info)).id : null;
  }

  /** Where the orchestrator writes. */
  store() {
    return storeOf(this.#db, this.user.id, { llm: () => this.llm });
  }

  async addDocument(document) {
    const added = await documents.add(this.#db, this.user.id, document);
    this.#indexed.add(added.id);
    await this.#retrieval.add({ id: added.id, title: added.title, text: document.text, user: this.user.id });
    return added;
  }

  async renameDocument(id, title) {
    const renamed = await documents.update(this.#db, this.user.id, id, { title });
    await this.#retrieval.add({ id, title: renamed.title, text: await this.textOf(id), user: this.user.id });
    return renamed;
  }

  async removeDocument(id) {
    await documents.remove(this.#db, this.user.id, id);
    await this.#forget([id], this.user.id);
  }

  async importAll(file) {
    const counts = await backup.importAll(this.#db, file, this.user.id);
    await this.index();
    return counts;
  }

  /** Empty the user of now. */
  async clear() {
    const found = await this.documents();
    await users.clear(this.#db, this.user.id);
    await this.#forget(found.map(({ id }) => id), this.user.id);
  }

  /** @param {string} id of a user who is not the guest */
  async removeUser(id) {
    if ((await users.get(this.#db, id))?.guest) throw new StoreError('models.invalid');
    const found = await documents.list(this.#db, id);
    await users.remove(this.#db, id);
    await this.#forget(found.map((one) => one.id), id);
  }

  /** Everything of everybody. */
  async erase() {
    const every = await Promise.all((await this.users()).map(async ({ id }) => [id, await documents.list(this.#db, id)]));
    await together(this.#db, Object.keys(STORES), (transaction) => Promise.all(Object.keys(STORES).map((name) => transaction.objectStore(name).clear())));
    for (const [user, found] of every) await this.#forget(found.map(({ id }) => id), user);
  }

  async #forget(ids, user) {
    for (const id of ids) {
      this.#indexed.delete(id);
      await this.#retrieval.remove(id, { user });
    }
  }
}

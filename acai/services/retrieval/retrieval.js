/** Search over the bundled corpus and the user's documents, in a worker. */

/** @typedef {import('./engine.js').Document} Document */
/** @typedef {import('./engine.js').Passage} Passage */

/** Made once; every call waits for its own answer. */
export class Retrieval {
  #worker;
  #waiting = new Map();
  #next = 0;
  #failed;

  /** @param {{worker?: Worker}} [options] a worker that runs index.worker.js; made here without it */
  constructor({ worker = new Worker(new URL('./index.worker.js', import.meta.url), { type: 'module' }) } = {}) {
    this.#worker = worker;
    worker.onmessage = ({ data: { call, value, error } }) => {
      const { resolve, reject } = this.#waiting.get(call) ?? {};
      this.#waiting.delete(call);
      if (error === undefined) resolve?.(value);
      else reject?.(new Error(error));
    };
    worker.onerror = (event) => this.#fail(new Error(event?.message || 'the search worker stopped'));
    worker.onmessageerror = () => this.#fail(new Error('the search worker sent what cannot be read'));
  }

  /** Resolves when the worker answers. @returns {Promise<boolean>} */
  ready() {
    return this.#call('ready');
  }

  /**
   * Add a document or put it in place of its last version. Without `user` it is shared with everyone.
   * @param {Document} document
   * @returns {Promise<number>} its passages
   */
  add({ id, title, text, user }) {
    return this.#call('add', { id, title, text, user });
  }

  /**
   * Add the documents of the bundled corpus.
   * @param {string|URL} [folder] with corpus.json and its files
   * @returns {Promise<number>} the documents added
   */
  async addCorpus(folder = new URL('../../corpus/', import.meta.url)) {
    const { documents } = await (await fetch(new URL('corpus.json', folder))).json();
    await Promise.all(
      documents.map(async ({ id, title, file }) => {
        const answer = await fetch(new URL(file, folder));
        if (!answer.ok) throw new Error(`corpus: ${file}: ${answer.status}`);
        await this.add({ id, title, text: await answer.text() });
      }),
    );
    return documents.length;
  }

  /**
   * Remove a document.
   * @param {string} id
   * @param {{user?: string}} [options] whose it is; without it, every user's document of that id, or else the shared one
   * @returns {Promise<boolean>} whether there was one
   */
  remove(id, { user } = {}) {
    return this.#call('remove', id, { user });
  }

  /**
   * The passages that answer a query best, of the user's documents and the bundled corpus.
   * @param {string} query
   * @param {{k?: number, user?: string}} [options]
   * @returns {Promise<Passage[]>}
   */
  search(query, { k = 5, user } = {}) {
    return this.#call('search', query, { k, user });
  }

  /** Stop the worker; waiting calls are refused. */
  close() {
    this.#fail(new Error('the search was closed'));
    this.#worker.terminate();
  }

  #call(name, ...args) {
    if (this.#failed) return Promise.reject(this.#failed);
    const call = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.#worker.postMessage({ call, name, args });
    });
  }

  #fail(error) {
    this.#failed = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

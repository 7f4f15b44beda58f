/** The worker of `Retrieval`: one engine, one message a call, one message back. */

import { Engine } from './engine.js';

const engine = new Engine();
const calls = {
  add: (document) => engine.add(document),
  remove: (id, options) => engine.remove(id, options),
  search: (query, options) => engine.search(query, options),
  ready: () => true,
};

globalThis.onmessage = ({ data: { call, name, args } }) => {
  try {
    if (!Object.hasOwn(calls, name)) throw new TypeError(`no such call: ${name}`);
    globalThis.postMessage({ call, value: calls[name](...args) });
  } catch (error) {
    globalThis.postMessage({ call, error: String(error?.message ?? error) });
  }
};

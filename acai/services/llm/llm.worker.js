// The worker of the LLM service: loads one model and answers, off the main thread. One message in, several out.
import { Cache } from './cache.js';
import { LLMError } from './errors.js';
import { generate } from './generate.js';
import { load } from './load.js';
import { watch } from './network.js';
import { AddressSource, FolderSource } from './source.js';
import { DiskStore } from './store.js';

const requests = watch(self);
const running = new Map(); // id of a task -> its AbortController
const opened = DiskStore.open().then((store) => new Cache(store));
let model = null;
let last = Promise.resolve(); // tasks that use the model run one after another

const tasks = {
  async load({ source, options }, { send, signal }) {
    const cache = await opened;
    const from = source.files ? new FolderSource(source.files) : source.address && new AddressSource(source.address);
    model = await load({ cache, source: from, kept: source.stored, options, signal,
      report: (event) => send({ type: 'progress', event }) });
    return model.info;
  },
  async generate({ messages, options }, { send, signal }) {
    if (!model) throw new LLMError('llm.unloaded');
    return generate(model, messages, options, signal, (event) => send({ type: 'token', event }));
  },
  async stored() {
    return (await opened).list();
  },
  async forget({ model: id }) {
    return (await opened).forget(id);
  },
};
const ALONE = new Set(['load', 'generate', 'forget']);

self.addEventListener('message', async ({ data }) => {
  const { id, type } = data;
  if (type === 'abort') {
    running.get(id)?.abort();
    return;
  }
  const controller = new AbortController();
  running.set(id, controller);
  const send = (message) => self.postMessage({ id, requests: { ...requests }, ...message });
  const work = () => tasks[type](data, { send, signal: controller.signal });
  try {
    const task = ALONE.has(type) ? last.then(work) : work();
    if (ALONE.has(type)) last = task.catch(() => {});
    send({ type: 'done', value: await task });
  } catch (error) {
    send({ type: 'error', error: LLMError.plain(error) });
  } finally {
    running.delete(id);
  }
});

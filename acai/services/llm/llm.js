// The LLM service as the application sees it. The work is done in a worker; nothing here takes the main thread's time.
import { LLMError } from './errors.js';
import { below } from './folder.js';

export { LLMError };

const APP = new URL('../../', import.meta.url);

/**
 * @typedef {{stage: 'download'|'start', file: string, loaded: number, total: number, speed: number}} Progress bytes
 * @typedef {{token: number, text: string, logprob: number}} Token
 * @typedef {string | {files: [string, File][]} | {stored: string}} Source an address below the application (`model/`),
 *   files of folder.js, or the id of a model kept on the device
 */
export class LLM {
  #worker = null;
  #tasks = new Map(); // id -> {resolve, reject, on}
  #count = 0;
  #info = null;
  #used = false; // a model was loaded in this worker
  #requests = { total: 0, outside: 0 }; // of this worker
  #before = { total: 0, outside: 0 }; // of those before it

  /**
   * Load a model, instead of the one before.
   * @param {Source} source
   * @param {{onProgress?: (event: Progress) => void, signal?: AbortSignal, device?: 'webgpu'|'wasm', form?: string,
   *   threads?: number}} [how] device, form and threads force what is chosen otherwise
   * @returns {Promise<object>} info()
   * @throws {LLMError}
   */
  async load(source, { onProgress = () => {}, signal, device, form, threads } = {}) {
    const from = typeof source === 'string' ? { address: new URL(source, APP).href }
      : source?.files ? { files: below(source.files) } : source;
    if (!from?.address && !from?.files && !from?.stored) throw new LLMError('llm.folder', { file: 'manifest.json' });
    if (this.#used) this.#stop(new LLMError('llm.unloaded')); // WebAssembly's memory is only freed with its worker
    this.#info = null;
    navigator.storage?.persist?.().catch(() => {}); // asked for, not needed
    const options = { device, form, threads, deviceMemory: navigator.deviceMemory };
    const worker = this.#open();
    this.#used = true;
    const task = this.#start('load', { source: from, options }, ({ event }) => onProgress(event), signal);
    const info = await task.result;
    if (worker === this.#worker) this.#info = info;
    return this.info();
  }

  /**
   * Answer a conversation, token by token. Text never ends inside a character; a token whose character is not whole
   * has the text ''. When stopped by the signal the answer ends where it is, without an error; the generator's return
   * value tells: {reason: 'stop'|'length'|'aborted', tokens, prompt, dropped, seconds, first}.
   * @param {import('./context.js').Message[]} messages
   * @param {{maxTokens?: number, temperature?: number, topP?: number, seed?: number, signal?: AbortSignal}} [how]
   * @returns {AsyncGenerator<Token>}
   */
  async *generate(messages, { maxTokens, temperature = 0, topP, seed, signal } = {}) {
    if (!this.#worker) throw new LLMError('llm.unloaded');
    const come = [];
    let wake = () => {};
    const on = ({ event }) => {
      come.push(event);
      wake();
    };
    const plain = messages.map(({ role, content }) => ({ role, content: String(content) }));
    const options = { maxTokens, temperature, topP, seed };
    const task = this.#start('generate', { messages: plain, options }, on, signal);
    let ended = false;
    const end = task.result.finally(() => {
      ended = true;
      wake();
    });
    end.catch(() => {}); // thrown below
    try {
      while (!ended || come.length) {
        if (come.length) yield come.shift();
        else await new Promise((resolve) => {
          wake = resolve;
          if (ended) resolve();
        });
      }
      const told = await end;
      if (this.#info) this.#info.measured = told.measured;
      return told;
    } finally {
      if (!ended) task.abort(); // the reader went away
    }
  }

  /**
   * What is loaded, null when nothing is: name, device, form, context, threads, memory, measured {loadSeconds,
   * tokensPerSecond, firstToken, selfTest}, fallback (devices tried before, and why not), requests {total, outside}.
   */
  info() {
    return this.#info && { ...this.#info, requests: this.requests() };
  }

  /** Requests of the service since the page was opened; outside: to another origin than the application's own. */
  requests() {
    return { total: this.#before.total + this.#requests.total, outside: this.#before.outside + this.#requests.outside };
  }

  /** Models kept on this device: {id, name, source, bytes, used}. */
  stored() {
    return this.#start('stored', {}).result;
  }

  /** Remove a model from this device. */
  async forget(id) {
    await this.#start('forget', { model: id }).result;
  }

  /** Let the model and its memory go. Answers under way end with llm.unloaded. */
  async unload() {
    this.#stop(new LLMError('llm.unloaded'));
  }

  #start(type, payload, on = () => {}, signal = undefined) {
    const worker = this.#open();
    const id = ++this.#count;
    const abort = () => worker.postMessage({ type: 'abort', id });
    const result = new Promise((resolve, reject) => {
      this.#tasks.set(id, { resolve, reject, on });
      worker.postMessage({ id, type, ...payload });
    });
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    result.catch(() => {}).finally(() => signal?.removeEventListener('abort', abort));
    return { result, abort };
  }

  #open() {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('llm.worker.js', import.meta.url), { type: 'module', name: 'acai-llm' });
    worker.addEventListener('message', ({ data }) => this.#receive(data));
    const fail = (event) => {
      event.preventDefault();
      if (worker === this.#worker) this.#stop(new LLMError('llm.worker', { reason: String(event.message ?? '') }));
    };
    worker.addEventListener('error', fail);
    worker.addEventListener('messageerror', fail);
    this.#worker = worker;
    return worker;
  }

  #receive({ id, type, requests, ...rest }) {
    this.#requests = requests;
    const task = this.#tasks.get(id);
    if (!task) return;
    if (type === 'done' || type === 'error') this.#tasks.delete(id);
    if (type === 'done') task.resolve(rest.value);
    else if (type === 'error') task.reject(new LLMError(rest.error.key, rest.error.params));
    else task.on(rest);
  }

  #stop(error) {
    this.#worker?.terminate();
    this.#before = this.requests();
    this.#requests = { total: 0, outside: 0 };
    this.#worker = null;
    this.#used = false;
    this.#info = null;
    const open = [...this.#tasks.values()];
    this.#tasks.clear();
    for (const { reject } of open) reject(error);
  }
}

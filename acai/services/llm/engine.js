// An exported graph under ONNX Runtime with its cache of keys and values: the same steps as llmini.browser.parity.
import { ROWS } from './memory.js';
import { best } from './sampling.js';

/** Where the best two logits are closer than this, either token is right (parity.py's margin, and rounding). */
const MARGIN = 2e-3;

/** Let messages in between two steps: what else would the stop button reach? */
const pause = () => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    resolve();
  };
  port2.postMessage(null);
});

export class Engine {
  #ort;
  #session;
  #past = {};
  #shapes = [];
  #ids = [];

  constructor(ort, session) {
    this.#ort = ort;
    this.#session = session;
    for (const { name, shape } of session.inputMetadata) {
      if (name.startsWith('past_key_values')) this.#shapes.push([name, shape[1], shape[3]]);
    }
    this.reset();
  }

  /**
   * @param {object} ort ONNX Runtime
   * @param {'webgpu'|'wasm'} device
   * @param {import('./manifest.js').Form} form
   * @param {Map<string, ArrayBuffer>} bytes of the form's files
   * @param {number} layers of the model: their keys and values stay on the WebGPU device
   */
  static async start(ort, device, form, bytes, layers) {
    const graph = new Uint8Array(bytes.get(form.file));
    const folder = form.file.slice(0, form.file.lastIndexOf('/') + 1);
    const externalData = form.files.filter((name) => name !== form.file)
      .map((name) => ({ path: name.slice(folder.length), data: new Uint8Array(bytes.get(name)) }));
    const kept = Array.from({ length: layers }, (_, n) => [`present.${n}.key`, `present.${n}.value`]).flat();
    // wasm: 4-bit integers are widened once, at load; weights laid out anew for products of many rows (prepacking) would
    // stand in memory twice, and reading them in order is faster for a single token.
    const session = await ort.InferenceSession.create(graph, {
      executionProviders: [device], externalData, graphOptimizationLevel: 'all', logSeverityLevel: 3,
      ...(device === 'wasm' ? { extra: { session: { disable_quant_qdq: '1', disable_prepacking: '1' } } }
        : { preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, 'gpu-buffer'])) }),
    });
    return new Engine(ort, session);
  }

  /** Forget what was read. */
  reset() {
    this.#free(this.#past);
    this.#ids = [];
    const { Tensor } = this.#ort;
    this.#past = Object.fromEntries(this.#shapes.map(([name, heads, width]) =>
      [name, new Tensor('float32', new Float32Array(0), [1, heads, 0, width])]));
  }

  /**
   * Read a prompt, in parts so that its logits stay small; what was read already and begins it is not read again.
   * @param {number[]} ids
   * @param {() => boolean} [stopped]
   * @returns {Promise<Float32Array|null>} logits of the next token; null when stopped
   */
  async read(ids, stopped = () => false) {
    const known = this.#ids.length;
    if (!(known < ids.length && this.#ids.every((id, place) => id === ids[place]))) this.reset();
    let logits = null;
    for (let at = this.#ids.length; at < ids.length; at += ROWS) {
      logits = await this.step(ids.slice(at, at + ROWS));
      await pause();
      if (stopped()) return null;
    }
    return logits;
  }

  /**
   * Read further tokens.
   * @param {number[]} ids
   * @returns {Promise<Float32Array>} logits of the next token
   */
  async step(ids) {
    const { Tensor } = this.#ort;
    const start = this.#ids.length;
    const total = start + ids.length;
    const feed = {
      input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]),
      attention_mask: new Tensor('int64', new BigInt64Array(total).fill(1n), [1, total]),
      position_ids: new Tensor('int64', BigInt64Array.from(ids, (_, i) => BigInt(start + i)), [1, ids.length]),
      ...this.#past,
    };
    for (const name of Object.keys(feed)) if (!this.#session.inputNames.includes(name)) delete feed[name];
    const { logits, ...present } = await this.#session.run(feed);
    this.#free(this.#past);
    this.#past = Object.fromEntries(Object.entries(present)
      .map(([name, value]) => [name.replace('present', 'past_key_values'), value]));
    this.#ids.push(...ids);
    const [, rows, words] = logits.dims;
    const data = await logits.getData();
    return data.subarray((rows - 1) * words, rows * words);
  }

  /**
   * Put the manifest's prompts and follow the tokens that PyTorch answered.
   * @param {import('./manifest.js').Test[]} tests
   * @returns {Promise<{tokens: number, ties: number, seconds: number, wrong: null|{prompt: number, place: number,
   *   expected: number, found: number}}>} ties: places where two tokens were equally likely and the other was chosen
   */
  async test(tests) {
    const begun = performance.now();
    const told = { tokens: 0, ties: 0, seconds: 0, wrong: null };
    for (const [prompt, { ids, tokens }] of tests.entries()) {
      this.reset();
      let logits = await this.read(ids);
      for (const [place, expected] of tokens.entries()) {
        const found = best(logits);
        if (found !== expected) {
          if (!(logits[found] - logits[expected] < MARGIN)) {
            told.wrong = { prompt, place, expected, found };
            break;
          }
          told.ties += 1;
        }
        told.tokens += 1;
        if (place + 1 < tokens.length) logits = await this.step([expected]);
      }
      if (told.wrong) break;
    }
    this.reset();
    told.seconds = (performance.now() - begun) / 1000;
    return told;
  }

  async release() {
    this.#free(this.#past);
    this.#past = {};
    await this.#session.release();
  }

  #free(tensors) {
    for (const tensor of Object.values(tensors)) if (tensor.location === 'gpu-buffer') tensor.dispose();
  }
}

export { pause };

// From a source to a model that answers rightly: files, memory, the best device whose self-test passes.
import { Engine } from './engine.js';
import { LLMError } from './errors.js';
import { common, download, ways } from './manifest.js';
import { admit, parameters } from './memory.js';
import { Tokenizer } from './tokenizer.js';

const VENDOR = new URL('../../vendor/', import.meta.url);
const ORT = { wasm: ['ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm'],
  webgpu: ['ort.webgpu.bundle.min.mjs', 'ort-wasm-simd-threaded.asyncify.wasm'] };

/** Parameters from which a second thread is worth waiting for: a small step is over before the threads have met. */
const THREADED = 30e6;

/** Threads for a model: those of the machine if the page is isolated, one for a small model. */
function threads(config) {
  if (!self.crossOriginIsolated || parameters(config) < THREADED) return 1;
  return Math.min(navigator.hardwareConcurrency || 1, 8);
}

/** ONNX Runtime for a device, with its own binary. */
async function runtime(device, count) {
  const [script, binary] = ORT[device];
  const ort = await import(new URL(`ort/${script}`, VENDOR).href);
  ort.env.wasm.wasmPaths = { wasm: new URL(`ort/${binary}`, VENDOR).href };
  ort.env.wasm.numThreads = count;
  ort.env.logLevel = 'error';
  return ort;
}

/** transformers.js, which must never look for anything by itself. */
async function library() {
  const found = await import(new URL('transformers.min.js', VENDOR).href);
  Object.assign(found.env, { allowRemoteModels: false, allowLocalModels: false, useBrowserCache: false });
  return found;
}

/** What can be said of WebGPU here: null when there is an adapter of hardware, else why not. */
async function missing() {
  if (!navigator.gpu) return 'llm.webgpu.absent';
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!adapter) return 'llm.webgpu.adapter';
  const software = adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter;
  return software || /swiftshader/i.test(adapter.info?.architecture ?? '') ? 'llm.webgpu.software' : null;
}

/** Tokens that end an answer. */
function endings(files) {
  const json = (name) => (files.has(name) ? JSON.parse(new TextDecoder().decode(files.get(name))) : {});
  const config = json('config.json');
  const stated = [json('generation_config.json').eos_token_id, config.eos_token_id];
  return { config, ends: new Set(stated.flat().filter(Number.isInteger)) };
}

/** Whether an error is the runtime's way of saying that memory ran out. */
const exhausted = (error) => /bad_alloc|out of memory|allocation failed|could not allocate|memory\.grow/i
  .test(String(error?.message ?? error));

/**
 * @param {{cache: import('./cache.js').Cache, source: object|null, kept?: string, options: object,
 *   signal: AbortSignal, report: (event: object) => void}} from
 *   options: device ('webgpu'|'wasm'), form and threads force one; deviceMemory in GB as the page sees it
 * @returns {Promise<object>} engine, tokenizer, ends, context, info
 */
export async function load({ cache, source, kept, options = {}, signal, report }) {
  const begun = performance.now();
  const found = kept ? await cache.kept(kept) : await cache.manifest(source, signal);
  const { manifest, id } = found;
  const take = (names, stage) => cache.files(manifest, names, found.online ? source : null,
    (event) => report({ stage, ...event }), signal);
  const base = await take(common(manifest), 'download');
  const { config, ends } = endings(base);
  const tokenizer = new Tokenizer(base, await library());
  const tests = manifest.self_test.prompts;
  const other = ({ prompt, ids }) => typeof prompt === 'string'
    && String(tokenizer.encode([{ role: 'user', content: prompt }])) !== String(ids);
  if (tests.some(other)) {
    throw new LLMError('llm.tokenizer', { reason: 'ids' });
  }
  const without = options.device === 'wasm' ? null : tests.length ? await missing() : 'llm.webgpu.untested';
  const fallback = without && options.device !== 'webgpu' ? [{ device: 'webgpu', reason: without }] : [];
  const able = !fallback.length && options.device !== 'wasm';
  let failure = null;
  for (const { device, form } of ways(manifest, { ...options, webgpu: able })) {
    signal.throwIfAborted();
    try {
      const memory = admit(manifest, config, form, device, options.deviceMemory);
      const names = manifest.forms[form].files;
      const bytes = await take(names, 'download');
      report({ stage: 'start', file: manifest.forms[form].file, loaded: 1, total: 1, speed: 0 });
      const started = await attempt(device, form, manifest, bytes, config, options.threads ?? threads(config));
      await cache.keep(id, source?.name ?? found.source ?? null, found.text);
      const { engine, test } = started;
      return { engine, tokenizer, ends, context: manifest.context, info: {
        id, name: manifest.name, class: manifest.class, device, form, context: manifest.context, parameters: parameters(config),
        threads: started.threads, memory, bytes: download(manifest, form), stored: cache.saved, fallback,
        facts: manifest.facts ?? null, measured: { loadSeconds: (performance.now() - begun) / 1000, selfTest: test,
          tokensPerSecond: null, firstToken: null } } };
    } catch (error) {
      if (signal.aborted || ['llm.network', 'llm.missing', 'llm.corrupt', 'llm.quota'].includes(error.key)) throw error;
      const needed = download(manifest, form);
      failure = exhausted(error) ? new LLMError('llm.memory', { needed, available: 0 }) : error;
      const plain = LLMError.plain(failure);
      fallback.push({ device, form, reason: plain.key, params: plain.params });
    }
  }
  throw failure ?? new LLMError('llm.session', { reason: without ?? 'no form' });
}

/** A session whose self-test passes. The int8 form answers a little differently: its test is told, not held. */
async function attempt(device, form, manifest, bytes, config, count) {
  const ort = await runtime(device, count);
  const engine = await Engine.start(ort, device, manifest.forms[form], bytes, config.num_hidden_layers);
  try {
    const test = await engine.test(manifest.self_test.prompts);
    if (test.wrong && form !== 'int8') throw new LLMError('llm.selftest', { device, form, ...test.wrong });
    return { engine, test, threads: ort.env.wasm.numThreads };
  } catch (error) {
    await engine.release().catch(() => {});
    throw error;
  }
}

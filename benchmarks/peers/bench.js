// One engine, one model, in a page of its own: load it, answer, say how long it took. Called by benchmarks/browser.py.
const since = (begun) => (performance.now() - begun) / 1000;
const whole = async (stream, each = () => {}) => { for await (const one of stream) each(one); };

/** ACAI's service, forced to the wasm form that downloads 4 bits and expands them. */
async function acai({ threads, form = 'q4dq' }) {
  const { LLM } = await import('/services/llm/llm.js');
  const llm = new LLM();
  const begun = performance.now();
  const info = await llm.load('/model/', { device: 'wasm', form, threads });
  const load = since(begun);
  return { load, threads: info.threads, selfTest: info.measured.selfTest.seconds, async answer(prompt, count) {
    const times = [];
    const begun = performance.now();
    let text = '';
    await whole(llm.generate([{ role: 'user', content: prompt }], { maxTokens: count }), (token) => {
      times.push(since(begun));
      text += token.text;
    });
    return { first: times[0], rate: (times.length - 1) / (times.at(-1) - times[0]), count: times.length, text };
  } };
}

/** wllama on its processor path, with as many threads; `rate` is what its own clock says. */
async function wllama({ threads, file }) {
  const { Wllama, LoggerWithoutDebug } = await import('/wllama/index.js');
  const engine = new Wllama({ default: '/wllama/wasm/wllama.wasm' }, { logger: LoggerWithoutDebug, suppressNativeLog: true });
  const begun = performance.now();
  await engine.loadModelFromUrl(new URL(`/gguf/${file}`, location.href).href,
    { useCache: false, n_threads: threads, n_gpu_layers: 0, n_ctx: 2048, warmup: false });
  const load = since(begun);
  return { load, threads: engine.getNumThreads(), selfTest: 0, async answer(prompt, count) {
    const begun = performance.now();
    let first = null;
    let timings = null;
    let text = '';
    const how = { prompt, max_tokens: count, temperature: 0, ignore_eos: true, stream: true };
    await whole(await engine.createCompletion(how), (chunk) => {
      if (chunk.choices?.[0]?.text) first ??= since(begun);
      text += chunk.choices?.[0]?.text ?? '';
      timings = chunk.timings ?? timings;
    });
    return { first, rate: timings.predicted_per_second, count: timings.predicted_n, text };
  } };
}

const ENGINES = { acai, wllama };
window.bench = {
  async load(engine, how) {
    window.engine = await ENGINES[engine](how);
    const { load, threads, selfTest } = window.engine;
    return { load, threads, selfTest };
  },
  answer: (prompt, count) => window.engine.answer(prompt, count),
};

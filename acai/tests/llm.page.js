// What the browser tests call (tests/test_acai_llm.py): the service as it is, and a watch over the main thread.
import { fromFiles } from '../services/llm/folder.js';
import { LLM } from '../services/llm/llm.js';
import { watch } from '../services/llm/network.js';
import { keep, upgrade } from '../services/offline.js';

const long = [];
new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration)))
  .observe({ type: 'longtask', buffered: true });
const requests = watch(window);
const llm = new LLM();
const log = [];
const plain = (error) => ({ error: error.key ?? error.name, params: error.params ?? {}, message: error.message });

/** Load; what came of it, and every progress event. */
async function load(source, how = {}) {
  log.length = 0;
  try {
    return { info: await llm.load(source, { ...how, onProgress: (event) => log.push(event) }), log };
  } catch (error) {
    return { ...plain(error), log };
  }
}

/** Load what was put into the input. */
async function folder(how) {
  try {
    return await load({ files: fromFiles(document.getElementById('folder').files) }, how);
  } catch (error) {
    return plain(error);
  }
}

/** Answer; the tokens, and how often the frame was drawn meanwhile. Stops after `stop` tokens. */
async function ask(content, how = {}, stop = Infinity) {
  const messages = typeof content === 'string' ? [{ role: 'user', content }] : content;
  const controller = new AbortController();
  const shown = document.getElementById('text');
  shown.textContent = '';
  const tokens = [];
  let frames = 0;
  let drawing = true;
  const frame = () => {
    frames += 1;
    if (drawing) requestAnimationFrame(frame);
  };
  frame();
  long.length = 0;
  const begun = performance.now();
  try {
    const answer = llm.generate(messages, { ...how, signal: controller.signal });
    for (;;) {
      const { done, value } = await answer.next();
      if (done) return { ...value, list: tokens, text: shown.textContent, frames, long: [...long] };
      tokens.push({ ...value, at: performance.now() - begun });
      shown.textContent += value.text;
      if (tokens.length === stop) controller.abort();
    }
  } catch (error) {
    return plain(error);
  } finally {
    drawing = false;
  }
}

/** The whole text of an answer. */
async function text(content) {
  let whole = '';
  for await (const token of llm.generate([{ role: 'user', content }])) whole += token.text;
  return whole;
}

window.test = { llm, load, folder, ask, text, keep, upgrade, requests, long, plain };

// One answer: prompt into the context, tokens out of the model one by one.
import { fit, room } from './context.js';
import { pause } from './engine.js';
import { choose, random } from './sampling.js';
import { Stream } from './stream.js';

/**
 * @param {object} model what load.js gave
 * @param {import('./context.js').Message[]} messages
 * @param {{maxTokens?: number, temperature?: number, topP?: number, seed?: number}} options
 * @param {AbortSignal} signal
 * @param {(event: {token: number, text: string, logprob: number}) => void} give
 * @returns {Promise<{reason: 'stop'|'length'|'aborted', tokens: number, prompt: number, dropped: number,
 *   seconds: number, first: number}>} first: seconds to the first token; dropped: messages that did not fit
 */
export async function generate(model, messages, options, signal, give) {
  const { engine, tokenizer, ends, context } = model;
  const { maxTokens = 256, temperature = 0, topP = 0.9, seed } = options;
  const begun = performance.now();
  const since = (time) => (performance.now() - time) / 1000;
  const { ids, dropped } = fit(messages, (turns) => tokenizer.encode(turns), room(context, maxTokens));
  const most = Math.min(maxTokens, context - ids.length);
  const draw = seed === undefined ? Math.random : random(seed);
  const stream = new Stream((some) => tokenizer.decode(some));
  const stopped = () => signal.aborted;
  const told = { reason: 'length', tokens: 0, prompt: ids.length, dropped, seconds: 0, first: 0 };
  let logits = stopped() ? null : await engine.read(ids, stopped);
  let read = performance.now();
  while (logits && told.tokens < most) {
    const { token, logprob } = choose(logits, { temperature, topP, draw });
    if (ends.has(token)) {
      told.reason = 'stop';
      break;
    }
    told.tokens += 1;
    if (told.tokens === 1) {
      told.first = since(begun);
      read = performance.now();
    }
    const final = told.tokens === most;
    give({ token, logprob, text: stream.push(token) + (final ? stream.end() : '') });
    await pause();
    if (stopped()) break;
    if (!final) logits = await engine.step([token]);
  }
  if (stopped()) told.reason = 'aborted';
  told.seconds = since(begun);
  if (told.tokens > 4) model.info.measured.tokensPerSecond = (told.tokens - 1) / since(read);
  if (told.tokens) model.info.measured.firstToken = told.first;
  return { ...told, measured: model.info.measured };
}

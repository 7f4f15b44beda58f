/** Let the model write: tokens as events, stop at once when asked to, notice loops, keep the probabilities. */

const LONGEST = 20000;
const PERIODS = 60;
const REPEATED = 120;

/** Whether the text ends in one piece over and over: at least six times and REPEATED characters. */
export function loops(text) {
  for (let period = 1; period <= PERIODS; period += 1) {
    let at = text.length - 1;
    while (at - period >= 0 && text[at] === text[at - period]) at -= 1;
    const same = text.length - 1 - at;
    if (same >= Math.max(REPEATED, 5 * period)) return true;
  }
  return false;
}

/**
 * @typedef {{text: string, probabilities: number[], spans: {end: number, probability: number|null}[], aborted: boolean,
 *   looped: boolean, error: {key: string, params: object}|null}} Wrote
 */

/**
 * Yields token events and returns what was written. A fault of the model is in `error`; what came before it is kept.
 * @param {{llm: object, messages: object[], maxTokens: number, signal?: AbortSignal, extra?: object}} options
 * @returns {AsyncGenerator<object, Wrote>}
 */
export async function* write({ llm, messages, maxTokens, signal, extra = {} }) {
  const wrote = { text: '', probabilities: [], spans: [], aborted: Boolean(signal?.aborted), looped: false, error: null };
  if (wrote.aborted) return wrote;
  let stop;
  const stopped = new Promise((resolve) => {
    stop = () => resolve({ stopped: true });
    signal?.addEventListener('abort', stop, { once: true });
  });
  let iterator;
  try {
    iterator = llm.generate(messages, { maxTokens, temperature: 0, signal })[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([iterator.next(), stopped]);
      if (next.stopped || next.done) break;
      const { text, token, logprob } = next.value ?? {};
      const piece = typeof text === 'string' ? text : '';
      const probability = Number.isFinite(logprob) ? Math.exp(Math.min(0, logprob)) : null;
      if (probability !== null) wrote.probabilities.push(probability);
      wrote.text += piece;
      wrote.spans.push({ end: wrote.text.length, probability });
      if (piece) yield { type: 'token', text: piece, token, logprob, ...extra };
      wrote.looped = loops(wrote.text) || wrote.text.length > LONGEST;
      if (wrote.looped || signal?.aborted) break;
    }
  } catch (error) {
    if (!signal?.aborted && error?.name !== 'AbortError' && error?.key !== 'llm.aborted') {
      wrote.error = { key: error?.key ?? 'agents.model_failed', params: error?.params ?? {} };
    } else wrote.aborted = true;
  } finally {
    signal?.removeEventListener('abort', stop);
    Promise.resolve(iterator?.return?.()).catch(() => {});
  }
  wrote.aborted ||= Boolean(signal?.aborted);
  return wrote;
}

const LEVELS = [[0.9, 'high'], [0.7, 'medium'], [0.5, 'low'], [0, 'very_low']];

/**
 * Confidence is the mean probability that the model gave the tokens it wrote: how sure it was of its words, not whether
 * they are true.
 * @param {number[]} probabilities
 */
export function confidence(probabilities) {
  const tokens = probabilities.length;
  if (!tokens) return { type: 'confidence', value: null, least: null, tokens, key: 'agents.confidence_unknown' };
  const value = probabilities.reduce((sum, one) => sum + one, 0) / tokens;
  const least = probabilities.reduce((low, one) => Math.min(low, one), 1);
  const level = LEVELS.find(([bound]) => value >= bound)[1];
  return { type: 'confidence', value, least, tokens, key: `agents.confidence_${level}` };
}

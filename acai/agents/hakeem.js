/**
 * Hakeem, the reasoner: shows its steps, each as soon as it is written, with every equation computed again by code.
 * Contract: one step a line, then `#### result`. Its confidence is the mean probability of the tokens it wrote.
 */

import { equations, numbersIn, plain } from './arithmetic.js';
import { done, fault, outcome, status } from './events.js';
import { fill, format, messages, quiet } from './formats.js';
import { confidence, write } from './write.js';

const MAX_TOKENS = 320;
const RESULT = /^[ \t]*#{3,}[ \t]*(.*)$/;

/**
 * @typedef {{text: string, equations: object[], correct: boolean|null, strange: number[]}} Checked
 *   `correct`: null where there is nothing to compute; `strange`: numbers neither in the question nor in an earlier step
 */

/** @param {string} line @param {Set<number>} known numbers seen so far; grows @returns {Checked} */
function check(line, known) {
  const found = equations(line);
  const made = new Set(found.flatMap(({ said, expected }) => [said, expected]));
  const strange = found.length ? numbersIn(line).filter((number) => !known.has(number) && !made.has(number)) : [];
  for (const number of numbersIn(line)) known.add(number);
  return { text: line, equations: found, correct: found.length ? found.every(({ correct }) => correct) : null, strange };
}

/**
 * @param {string} text what the model wrote
 * @param {{query?: string}} [context]
 * @returns {{steps: Checked[], result: string|null, differs: boolean, kept: boolean}} `differs`: the result is not what the
 *   last equation gives
 */
export function parse(text, { query = '' } = {}) {
  const all = text.replace(/\r/g, '').split('\n').map((line) => line.trim());
  const at = all.findIndex((line) => RESULT.test(line));
  const result = at < 0 ? null : RESULT.exec(all[at])[1].trim() || null;
  const known = new Set(numbersIn(query));
  const steps = (at < 0 ? all : all.slice(0, at)).filter(Boolean).map((line) => check(line, known));
  const last = steps.flatMap((step) => step.equations).at(-1);
  const said = result === null ? [] : numbersIn(result);
  const differs = Boolean(last && said.length === 1 && Math.abs(Math.abs(last.expected) - said[0]) > 1e-9 &&
    !plain(result).includes(String(last.expected)));
  return { steps, result, differs, kept: result !== null };
}

/** Mean probability of the result's own tokens. */
function sureOfResult(wrote) {
  const from = wrote.text.search(/#{3,}/);
  if (from < 0) return null;
  const start = from + /#{3,}\s*/.exec(wrote.text.slice(from))[0].length;
  const own = wrote.spans.filter((span) => span.end > start && span.probability !== null);
  return own.length ? own.reduce((sum, span) => sum + span.probability, 0) / own.length : null;
}

/** @param {object} context @returns {AsyncGenerator<import('./events.js').Event>} */
async function* run(context) {
  const { query, llm, signal } = context;
  if (!llm) {
    yield status('agents.no_model');
    yield done({ steps: [], result: null, notes: [{ key: 'agents.no_model' }] });
    return;
  }
  yield status('agents.writing');
  const writing = write({ llm, messages: agent.prompt(context), maxTokens: MAX_TOKENS, signal });
  let [text, shown] = ['', 0];
  let next = await writing.next();
  const steps = function* (whole) {
    const { steps: found } = parse(whole, { query });
    for (; shown < found.length; shown += 1) yield { type: 'step', kind: 'reasoning', index: shown, ...found[shown] };
  };
  while (!next.done) {
    text += next.value.text;
    yield next.value;
    const line = text.lastIndexOf('\n');
    if (next.value.text.includes('\n')) yield* steps(text.slice(0, line));
    next = await writing.next();
  }
  const wrote = next.value;
  yield* steps(wrote.text);
  if (wrote.error) yield fault(wrote.error.key, wrote.error.params);
  const read = parse(wrote.text, { query });
  const result = outcome(wrote, !read.kept);
  if (wrote.text) yield { ...confidence(wrote.probabilities), result: sureOfResult(wrote) };
  const wrong = read.steps.filter(({ correct }) => correct === false).length;
  const notes = [...result.notes];
  if (wrote.text && !read.steps.length) notes.push({ key: 'agents.no_steps' });
  if (!wrote.aborted && !wrote.error && read.result === null) notes.push({ key: 'agents.no_result' });
  if (wrong) notes.push({ key: 'agents.wrong_steps', params: { count: wrong } });
  if (read.differs) notes.push({ key: 'agents.result_differs' });
  yield done({ ...result, text: wrote.text.trim(), ...read, notes });
}

export const agent = {
  id: 'hakeem',
  name: { ar: 'حكيم', en: 'Hakeem' },
  description: {
    ar: 'يحل المسائل خطوة خطوة، ويُراجَع حسابه آليًا، ومع كل جواب درجة ثقة.',
    en: 'Solves problems step by step; its arithmetic is checked by code, and every answer has a confidence.',
  },
  prompt: ({ query, language, history, llm }) =>
    messages(fill(format('hakeem', language).prompt, { query: quiet(query).trim() }), { history, llm }),
  parse,
  run,
};

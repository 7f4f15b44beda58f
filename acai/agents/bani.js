/**
 * Bani, the knowledge builder: triples out of an answer or a text, as a graph. Contract: one `subject | relation | value` a
 * line. A triple whose subject or value does not stand in the text is left out of the graph and told.
 */

import { sentences } from '../services/retrieval/chunk.js';
import { done, fault, outcome, status } from './events.js';
import { fill, format, isSmall, messages, oneLine } from './formats.js';
import { graphOf } from './graph.js';
import { contentWords } from './overlap.js';
import { isGrounded, parseTriples } from './triples.js';
import { confidence, write } from './write.js';

const MAX_TOKENS = 96;
const MOST_PIECES = 12;
const ABOUT_ANSWER = /(?:إجابت|اجابت|جواب|ردك|الرد|قلت|محادث|answer|you (?:just )?said|conversation|chat)/iu;

/** The text to read: handed over, after a colon or on the lines below, the last answer, or the request itself. */
export function textOf({ query, answer, history = [] }) {
  if (typeof answer === 'string') return answer;
  const after = /^[^\n:]{2,80}(?::|\n)\s*([\s\S]+)$/u.exec(query)?.[1] ?? '';
  if (contentWords(after).length > 1) return after;
  const last = history.findLast?.(({ role, content }) => role === 'assistant' && content);
  return last && ABOUT_ANSWER.test(query) ? last.content : query;
}

/** The text in pieces that the model can take: two sentences for a small one. */
function piecesOf(text, llm) {
  const bare = text.replace(/\s*\[\p{Nd}{1,4}\]/gu, '');
  const all = sentences(bare).map(({ start, end }) => oneLine(bare.slice(start, end))).filter((one) => contentWords(one).length);
  const size = isSmall(llm) ? 2 : 8;
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size).join(' '));
}

/** @param {object} context with `answer`: the text to read @returns {AsyncGenerator<import('./events.js').Event>} */
async function* run(context) {
  const { language, llm, signal } = context;
  const empty = { triples: [], rejected: [], graph: graphOf([]), source: '' };
  const source = textOf(context);
  const pieces = piecesOf(source, llm).slice(0, MOST_PIECES);
  if (!llm || !pieces.length) {
    const key = llm ? 'agents.no_triples' : 'agents.no_model';
    yield status(key);
    yield done({ ...empty, source, notes: [{ key }] });
    return;
  }
  yield status('agents.analysing');
  const total = { text: '', aborted: false, looped: false, error: null, probabilities: [] };
  const [good, rejected] = [[], []];
  let bad = 0;
  for (const piece of pieces) {
    const prompt = agent.prompt({ query: piece, language });
    const wrote = yield* write({ llm, messages: prompt, maxTokens: MAX_TOKENS, signal });
    const read = parseTriples(wrote.text);
    for (const triple of read.triples) (isGrounded(triple, piece) ? good : rejected).push(triple);
    bad += read.bad;
    total.text += `${wrote.text}\n`;
    total.probabilities.push(...wrote.probabilities);
    total.looped ||= wrote.looped;
    total.aborted = wrote.aborted;
    total.error = wrote.error;
    if (wrote.error) yield fault(wrote.error.key, wrote.error.params);
    if (total.aborted || total.error) break;
    if (read.triples.length) yield { type: 'graph', ...graphOf(good) };
  }
  if (total.probabilities.length) yield confidence(total.probabilities);
  const graph = graphOf(good);
  const result = outcome(total, !good.length && !rejected.length ? true : bad > good.length + rejected.length);
  const notes = [...result.notes];
  if (!good.length) notes.push({ key: 'agents.no_triples' });
  if (rejected.length) notes.push({ key: 'agents.ungrounded_triples', params: { count: rejected.length } });
  const text = good.map(({ subject, relation, value }) => `- ${subject} | ${relation} | ${value}`).join('\n');
  yield done({ ...result, text, triples: good, rejected, graph, source, notes });
}

export const agent = {
  id: 'bani',
  name: { ar: 'باني', en: 'Bani' },
  description: {
    ar: 'يستخرج الكيانات والعلاقات ويعرضها رسمًا يمكن تصديره.',
    en: 'Extracts entities and relations and shows them as a graph that can be exported.',
  },
  prompt: ({ query, language }) => messages(fill(format('bani', language).prompt, { query: oneLine(query) })),
  parse: (text) => parseTriples(text),
  run,
};

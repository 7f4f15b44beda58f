/** Answering from retrieved sources, as Bahith and Musheer do: search, show the model what was found, hold it to that. */

import { cite } from './citations.js';
import { done, fault, outcome, status } from './events.js';
import { fill, format, messages, quiet } from './formats.js';
import { lines, search, sourcesOf, writeFrom } from './sources.js';
import { confidence } from './write.js';
import { words } from '../services/retrieval/normalise.js';

const MAX_TOKENS = 160;

/** The prompt of an agent that answers from sources. */
export function groundedPrompt(agent, { query, sources, language, history, llm }) {
  const form = format(agent, language);
  return messages(fill(form.prompt, { sources: lines(form, sources), query: quiet(query).trim() }), { history, llm });
}

/** Whether an answer only says that the sources do not answer, in the words of either agent: small models mix them up. */
function declines(bare) {
  const said = words(bare).join(' ');
  const forms = ['bahith', 'musheer'].flatMap((agent) => ['ar', 'en'].map((language) => format(agent, language).none));
  return forms.some((none) => said.startsWith(words(none).join(' ')));
}

/**
 * @typedef {{text: string, bare: string, cited: number[], dropped: number[], sentences: object[], none: boolean, kept: boolean}} Grounded
 *   `none`: the model found no answer; `kept`: it kept to the format (declined, or cited a source it was given)
 */

/**
 * The output contract of Bahith and Musheer.
 * @param {string} text what the model wrote
 * @param {import('./events.js').Source[]} sources
 * @returns {Grounded}
 */
export function parseGrounded(text, sources) {
  const read = cite(text, sources);
  const none = declines(read.bare);
  if (none) return { ...read, text: read.bare, cited: [], sentences: [], none, kept: true };
  return { ...read, none, kept: read.cited.length > 0 && words(read.bare).length > 0 };
}

/**
 * @param {string} id the agent
 * @param {object} context as `agent.run` gets it
 * @param {{k?: number, most?: number, order?: (passages: object[]) => object[], notes?: (sources: object[]) => object[]}} [options]
 *   `order` sorts the passages, `most` are kept; `notes` go below every answer
 */
export async function* answerFromSources(id, context, { k = 5, most = 5, order = (all) => all, notes = () => [] } = {}) {
  const { query, history, language, llm, retrieval, user, signal } = context;
  const form = format(id, language);
  yield status('agents.searching');
  const { passages, failed } = await search(retrieval, query, { k, user });
  if (failed) yield fault('agents.search_failed');
  const found = sourcesOf(order(passages).slice(0, most), query, { llm, maxTokens: MAX_TOKENS });
  const below = notes(found);
  const base = { sources: found, cited: [], dropped: [], sentences: [], none: false };
  if (signal?.aborted) {
    yield done({ ...base, aborted: true, notes: [{ key: 'agents.stopped' }] });
    return;
  }
  if (!found.length) {
    yield status('agents.no_evidence');
    yield done({ ...base, text: form.none, none: true, notes: [{ key: 'agents.no_evidence' }, ...below] });
    return;
  }
  yield status('agents.found', { count: found.length }, { sources: found });
  if (!llm) {
    yield status('agents.no_model');
    yield done({ ...base, notes: [{ key: 'agents.no_model' }, ...below] });
    return;
  }
  const prompt = (sources) => groundedPrompt(id, { query, sources, language, history, llm });
  const { wrote, sources } = yield* writeFrom({ sources: found, prompt, llm, maxTokens: MAX_TOKENS, signal });
  if (wrote.error) yield fault(wrote.error.key, wrote.error.params);
  const read = parseGrounded(wrote.text, sources);
  const result = outcome(wrote, !read.kept);
  for (const n of read.cited) {
    const { passage, text, quote } = sources[n - 1];
    yield { type: 'citation', n, passage, text, quote };
  }
  if (wrote.text) yield confidence(wrote.probabilities);
  const unsupported = read.sentences.filter(({ supported }) => supported === false).length;
  const told = [...result.notes];
  if (read.none) told.push({ key: 'agents.not_in_sources' });
  if (read.dropped.length) told.push({ key: 'agents.dropped_citations', params: { count: read.dropped.length } });
  if (unsupported) told.push({ key: 'agents.unsupported', params: { count: unsupported } });
  const { text, bare, cited, dropped, sentences, none } = read;
  yield done({ ...result, text, bare, cited, dropped, sentences, none, sources, notes: [...told, ...below] });
}

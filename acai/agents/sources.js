/** From retrieved passages to the numbered sources of a prompt: what fits, best first. */

import { sentences } from '../services/retrieval/chunk.js';
import { words } from '../services/retrieval/normalise.js';
import { stems } from '../services/retrieval/stem.js';
import { contentWords } from './overlap.js';
import { fill, isSmall, oneLine } from './formats.js';
import { write } from './write.js';

const MOST_SENTENCES = 4;
/** Characters that surely fit in a token's place, Arabic in a small vocabulary. */
const PER_TOKEN = 1.8;

/** The share of the query's content words whose stem a text has. */
function relevance(query, text) {
  const there = new Set(words(text).flatMap(stems));
  const wanted = contentWords(query);
  return wanted.filter((word) => stems(word).some((stem) => there.has(stem))).length / Math.max(1, wanted.length);
}

/** The sentences of the passages, those nearest to the query first; of equal ones the better passage's. */
function bySentence(passages, query) {
  const seen = new Set();
  const found = passages.flatMap((passage, rank) =>
    sentences(passage.text)
      .filter(({ heading, words: count }) => !heading && count > 1)
      .map(({ start, end }) => {
        const text = oneLine(passage.text.slice(start, end));
        return { text, passage, quote: { start, end }, score: relevance(query, text) - rank / 1000 };
      }),
  );
  return found
    .filter(({ text, score }) => score > 0 && !seen.has(text) && seen.add(text))
    .sort((one, other) => other.score - one.score)
    .slice(0, MOST_SENTENCES);
}

/**
 * @param {object[]} passages as `Retrieval.search` gives them
 * @param {string} query
 * @param {{llm?: object, maxTokens?: number}} [options]
 * @returns {import('./events.js').Source[]}
 */
export function sourcesOf(passages, query, { llm, maxTokens = 128 } = {}) {
  const context = llm?.info?.()?.context || 512;
  let room = Math.max(200, (context - maxTokens - 64) * PER_TOKEN - query.length);
  const whole = passages.map((passage) => ({
    text: oneLine(passage.text), passage, quote: { start: 0, end: passage.text.length },
  }));
  const short = isSmall(llm) ? bySentence(passages, query) : [];
  const chosen = [];
  for (const { text, passage, quote } of short.length ? short : whole) {
    if (!text) continue;
    const fits = text.slice(0, Math.max(0, Math.floor(room) - 8));
    if (fits.length < Math.min(text.length, 40)) break;
    chosen.push({ n: chosen.length + 1, text: fits, quote, passage });
    room -= fits.length + 8;
  }
  return chosen;
}

/** The sources as lines of a prompt. */
export const lines = (form, sources) => sources.map(({ n, text }) => fill(form.source, { n, text })).join('\n');

/**
 * Search, and take only what a passage needs to be shown and cited; a fault is told, not thrown.
 * @returns {Promise<{passages: object[], failed: boolean}>}
 */
export async function search(retrieval, query, { k, user }) {
  try {
    const found = await retrieval.search(query, { k, user });
    return { passages: found.filter((one) => typeof one?.text === 'string' && one.text.trim()), failed: false };
  } catch {
    return { passages: [], failed: true };
  }
}

/**
 * Let the model write from sources; where they are too much for its context after all, from the better half of them.
 * @param {{sources: import('./events.js').Source[], prompt: (sources: object[]) => object[]}} options with those of `write`
 * @returns {AsyncGenerator<object, {wrote: import('./write.js').Wrote, sources: object[]}>}
 */
export async function* writeFrom({ sources, prompt, ...options }) {
  for (let left = sources; ; left = left.slice(0, Math.ceil(left.length / 2))) {
    const wrote = yield* write({ ...options, messages: prompt(left) });
    if (wrote.error?.key !== 'llm.context' || left.length < 2) return { wrote, sources: left };
  }
}

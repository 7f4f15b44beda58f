/** Where a passage has the words of a query, and the part of it to show. */

import { SIZE, skeleton } from './ngrams.js';
import { tokens } from './normalise.js';
import { stems } from './stem.js';

const WIDTH = 36;

/** The names under which a word is looked up: its terms and, when the index has grams, its skeleton. */
function names(word, mode) {
  if (mode === 'raw') return [word];
  const found = stems(word);
  const bare = skeleton(found[0]);
  return mode === 'grams' && bare.length >= SIZE ? [...found, `~${bare}`] : found;
}

/**
 * The words of a passage that a query asks for.
 * @param {string} text
 * @param {string} query
 * @param {string} mode one of the engine's
 * @returns {[number, number][]} ranges into the text, in order
 */
export function highlights(text, query, mode) {
  const wanted = new Set(tokens(query).flatMap(({ word }) => names(word, mode)));
  return tokens(text)
    .filter(({ word }) => word.length > 2 && names(word, mode).some((name) => wanted.has(name)))
    .map(({ start, end }) => [start, end]);
}

/**
 * The stretch of a passage, at most WIDTH words, that holds most highlighted words.
 * @param {string} text
 * @param {[number, number][]} ranges
 * @returns {{start: number, end: number, text: string, highlights: [number, number][]}} highlights into the snippet's text
 */
export function snippet(text, ranges) {
  const words = [...text.matchAll(/\S+/g)].map((match) => [match.index, match.index + match[0].length]);
  if (!words.length) return { start: 0, end: 0, text: '', highlights: [] };
  const marked = words.map(([from, to]) => ranges.some(([start, end]) => start >= from && end <= to) ? 1 : 0);
  let inside = marked.slice(0, WIDTH).reduce((sum, mark) => sum + mark, 0);
  let [best, first] = [inside, 0];
  for (let at = WIDTH; at < words.length; at += 1) {
    inside += marked[at] - marked[at - WIDTH];
    if (inside > best) [best, first] = [inside, at - WIDTH + 1];
  }
  const start = words[first][0];
  const end = words[Math.min(first + WIDTH, words.length) - 1][1];
  const within = ranges.filter(([from, to]) => from >= start && to <= end).map(([from, to]) => [from - start, to - start]);
  return { start, end, text: text.slice(start, end), highlights: within };
}

/**
 * What the intent classifier sees of a prompt: words, light forms, word pairs, letter 3-grams and cues, hashed to places
 * of a vector of length 1. lib/llmini/browser/intents.py does the very same; a test holds the two together.
 */

import { normalise } from '../services/retrieval/normalise.js';

/** Only the beginning of a long prompt is looked at: the request stands there, not in what was pasted below. */
export const LONGEST = 1500;
const PIECE = /[0-9]+|\p{L}+|[+×*÷=%|:]/gu;
const ARTICLE = /^(?:[وف]?[بك]?(?:هال|ال)|[وف]?لل)(.{2,})$/u;
const ENDING = /^(.{3,}?)(?:ها|هم|نا|ات|ون|ين|ه|ي|ت|وا)$/u;
/** Weight of each kind of feature by its first letter. */
const WEIGHTS = { w: 1, s: 1, b: 1, g: 0.5, c: 2, a: 1, p: 0.5 };

/** @param {string} text @returns {string[]} normalised words and signs; every number is `0` */
export function pieces(text) {
  const found = normalise(text.slice(0, LONGEST)).match(PIECE) ?? [];
  return found.map((piece) => (/^[0-9]/.test(piece) ? '0' : piece));
}

/** A word as it stands, and without its article or its one-letter particle. */
function forms(word) {
  const article = ARTICLE.exec(word);
  if (article) return [word, article[1]];
  return word.length > 3 && /^[وفبل]/.test(word) ? [word, word.slice(1)] : [word];
}

/** Word lists turned around, once for each set of them: a word, or the start of one, to the names of its lists. */
const INDEX = new WeakMap();

function indexOf(cues) {
  if (!INDEX.has(cues)) {
    const turn = (kind) => {
      const found = new Map();
      for (const [name, lists] of Object.entries(cues)) for (const word of lists[kind]) found.set(word, [...(found.get(word) ?? []), name]);
      return found;
    };
    INDEX.set(cues, { whole: turn('whole'), start: turn('start') });
  }
  return INDEX.get(cues);
}

/**
 * The cues a word gives: names of the word lists that hold it.
 * @param {string} word
 * @param {Record<string, {whole: string[], start: string[]}>} cues
 * @returns {Set<string>}
 */
function cuesOf(word, cues) {
  const { whole, start } = indexOf(cues);
  const found = new Set();
  for (const form of forms(word)) {
    for (const name of whole.get(form) ?? []) found.add(name);
    for (let end = 1; end <= form.length; end += 1) for (const name of start.get(form.slice(0, end)) ?? []) found.add(name);
  }
  return found;
}

/**
 * The features of a prompt by name, each once.
 * @param {string} text
 * @param {Record<string, {whole: string[], start: string[]}>} cues
 * @returns {Set<string>}
 */
export function names(text, cues) {
  const found = new Set();
  const words = pieces(text);
  const seen = new Set();
  words.forEach((word, place) => {
    const bare = ARTICLE.exec(word)?.[1] ?? word;
    found.add(`w${word}`).add(`s${ENDING.exec(bare)?.[1] ?? bare}`);
    found.add(`b${words[place - 1] ?? '^'} ${word}`);
    const edged = `^${word}$`;
    for (let at = 0; at + 3 <= edged.length; at += 1) found.add(`g${edged.slice(at, at + 3)}`);
    for (const cue of cuesOf(word, cues)) {
      seen.add(cue);
      found.add(`c${cue}`);
      if (place < 2) found.add(`a${place}${cue}`);
    }
  });
  found.add(`b${words.at(-1) ?? '^'} $`);
  const sorted = [...seen].sort();
  sorted.forEach((first, at) => sorted.slice(at + 1).forEach((second) => found.add(`p${first}+${second}`)));
  const numbers = words.filter((word) => word === '0').length;
  if (numbers >= 1) found.add('cnumber');
  if (numbers >= 2) found.add('cnumbers');
  return found;
}

/** FNV-1a over UTF-16 code units, its high bits folded in. */
function place(name, buckets) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  hash >>>= 0;
  return ((hash ^ (hash >>> 15)) >>> 0) % buckets;
}

/**
 * The vector of a prompt.
 * @param {string} text
 * @param {{cues: Record<string, {whole: string[], start: string[]}>, buckets: number}} model
 * @returns {Map<number, number>} place -> value
 */
export function features(text, { cues, buckets }) {
  const vector = new Map();
  for (const name of names(text, cues)) {
    const at = place(name, buckets);
    vector.set(at, (vector.get(at) ?? 0) + WEIGHTS[name[0]]);
  }
  const length = Math.sqrt([...vector.values()].reduce((sum, value) => sum + value * value, 0));
  for (const [at, value] of vector) vector.set(at, value / length);
  return vector;
}

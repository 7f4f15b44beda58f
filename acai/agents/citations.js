/** Citations in a model's answer, held to the sources it was given. */

import { sentences } from '../services/retrieval/chunk.js';
import { coverage } from './overlap.js';

const INVISIBLE = /[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const OPEN = '[\\[［【〔]';
const CLOSE = '[\\]］】〕]';
const LIST = '\\p{Nd}{1,9}(?:\\s*[,،;؛]\\s*\\p{Nd}{1,9})*';
const CITATION = new RegExp(`${OPEN}\\s*(${LIST})\\s*(?:${CLOSE}|(?=\\s*(?:$|[.،؟!?\\n])))`, 'gu');
/** Share of a sentence's content words that must stand in what it cites. */
export const SUPPORTED = 0.5;

const western = (text) =>
  text.replace(/[٠-٩]/g, (digit) => digit.codePointAt(0) - 0x660).replace(/[۰-۹]/g, (digit) => digit.codePointAt(0) - 0x6f0);

/**
 * @typedef {{text: string, cites: number[], supported: boolean|null, share: number}} Sentence
 *   `supported`: null where a sentence has no words to look for (yes, no)
 * @typedef {{text: string, cited: number[], dropped: number[], sentences: Sentence[], bare: string}} Cited
 */

/**
 * Read an answer. `[n]` of a source that was not given is taken out; `text` is the answer with the others in one form,
 * `bare` without any. A sentence is supported when half of its content words, and all its numbers, stand in the sources
 * that it cites, or, if it cites none, in those that the answer cites.
 * @param {string} answer
 * @param {import('./events.js').Source[]} sources
 * @returns {Cited}
 */
export function cite(answer, sources) {
  const given = new Map(sources.map((source) => [source.n, source]));
  const cited = new Set();
  const dropped = new Set();
  const text = answer
    .replace(INVISIBLE, '')
    .replace(CITATION, (match, list) => {
      const numbers = western(list).split(/\D+/).map(Number);
      numbers.forEach((n) => (given.has(n) ? cited : dropped).add(n));
      return numbers.filter((n) => given.has(n)).map((n) => `[${n}]`).join('');
    })
    .replace(/([.!?؟…])[ \t]*((?:\[\d+\][ \t]*)+)/g, (match, mark, cites) => ` ${cites.trim()}${mark} `)
    .replace(/[ \t]{2,}/g, ' ')
    .replace(/[ \t]+([.،؟!?])/g, '$1')
    .trim();
  const read = sentences(text).map(({ start, end }) => {
    const sentence = text.slice(start, end);
    const cites = [...new Set([...sentence.matchAll(/\[(\d+)\]/g)].map((match) => Number(match[1])))];
    const plain = sentence.replace(/\[\d+\]/g, ' ').trim();
    const evidence = (cites.length ? cites : [...cited]).map((n) => given.get(n).text);
    const { share, count, numbers } = coverage(plain, evidence);
    const supported = count ? evidence.length > 0 && numbers && share >= SUPPORTED : cites.length ? null : false;
    return { text: plain, cites, supported, share };
  });
  const kept = read.filter((sentence) => /[\p{L}\p{Nd}]/u.test(sentence.text));
  return { text, cited: [...cited], dropped: [...dropped], sentences: kept, bare: text.replace(/\s*\[\d+\]/g, '').trim() };
}

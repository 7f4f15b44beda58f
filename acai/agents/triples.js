/** `subject | relation | value` out of a model's lines, however it decorates them. */

import { words } from '../services/retrieval/normalise.js';
import { coverage, contentWords } from './overlap.js';

const LONGEST = 120;
const MOST = 200;
const HEADERS = new Set(words('subject relation value object predicate موضوع الموضوع علاقة العلاقة قيمة القيمة المفعول محمول'));
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** A part without list marks, quotes, brackets around it and markup. */
const tidy = (part) =>
  part
    .replace(/<[^<>]{0,200}>/g, ' ')
    .replace(/\[\p{Nd}{1,4}\]/gu, ' ')
    .replace(/[*_`]{1,3}/g, '')
    .replace(/^[\s"'«»“”()[\]{}<>،,;؛.-]+|[\s"'«»“”()[\]{}<>،,;؛.]+$/gu, '')
    .replace(/\s+/g, ' ')
    .trim();

/**
 * @param {string} text
 * @returns {{triples: import('./graph.js').Triple[], bad: number, kept: boolean}} `bad` lines that are no triple; `kept`:
 *   there are triples, and no more bad lines than them
 */
export function parseTriples(text) {
  const found = new Map();
  let bad = 0;
  for (const raw of text.slice(0, 50000).split(/\r?\n|\r/)) {
    const line = raw.replace(INVISIBLE, '').replace(/[｜¦│]/g, '|').trim();
    if (!line || /^```/.test(line) || /^[|\s:+=-]+$/.test(line)) continue;
    const parts = line.replace(/^(?:[-*+•]|\p{Nd}{1,3}[.)-])\s+/u, '').replace(/^\|+|\|+$/g, '').split('|').map(tidy);
    if (parts.length !== 3 || parts.some((part) => !/[\p{L}\p{Nd}]/u.test(part) || part.length > LONGEST)) {
      bad += 1;
      continue;
    }
    if (parts.every((part) => words(part).every((word) => HEADERS.has(word)))) continue;
    const [subject, relation, value] = parts;
    const name = parts.map((part) => words(part).join(' ')).join('|');
    if (!found.has(name) && found.size < MOST) found.set(name, { subject, relation, value });
  }
  const triples = [...found.values()];
  return { triples, bad, kept: triples.length > 0 && bad <= triples.length };
}

/** Every content word of both ends stands in the text; the relation is the model's own word. */
export function isGrounded({ subject, value }, text) {
  return [subject, value].every((end) => {
    const { share, numbers } = coverage(end, text);
    return contentWords(end).length > 0 && numbers && share > 0.99;
  });
}

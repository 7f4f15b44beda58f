/**
 * The index behind `Retrieval`, without a worker: passages in parts (one shared part for the bundled corpus, one for each
 * user), three ways to read a word, and the passages that answer a query.
 */

import { weight } from './asking.js';
import { Part, rank } from './bm25.js';
import { chunk } from './chunk.js';
import { grams } from './ngrams.js';
import { highlights, snippet } from './snippet.js';
import { stems } from './stem.js';
import { words } from './normalise.js';

const FIELDS = ['title', 'text', 'titleGrams', 'textGrams'];
/** Weights of the fields; chosen on the development questions of data/retrieval, see benchmarks/retrieval.mjs. */
export const BOOSTS = { title: 0.4, text: 1, titleGrams: 0.1, textGrams: 0.5 };
/** Ways to read words: as they are, stemmed, stemmed with grams. */
export const MODES = ['raw', 'stemmed', 'grams'];
/** How much oftener the reading without a particle must occur than the one with it. */
const PREFERRED = 1.5;
const SHARED = '';
const LONGEST_QUERY = 2000;

/**
 * The terms of a text, per field kind.
 * @param {string} text
 * @param {string} mode one of MODES
 * @returns {{terms: string[][], grams: string[]}} for each word its terms; all grams
 */
export function analyse(text, mode = 'grams') {
  const found = words(text);
  if (mode === 'raw') return { terms: found.map((word) => [word]), grams: [] };
  const terms = found.map(stems);
  return { terms, grams: mode === 'grams' ? terms.flatMap(([first]) => grams(first)) : [] };
}

/** One weight for every term. */
const sum = (pairs) => pairs.reduce((all, [term, share]) => all.set(term, (all.get(term) ?? 0) + share), new Map());

/** @typedef {{id: string, title: string, text: string, user?: string}} Document */
/**
 * @typedef {{document: string, title: string, chunk: number, start: number, end: number, text: string, score: number,
 *   highlights: [number, number][], snippet: {start: number, end: number, text: string, highlights: [number, number][]}}} Passage
 * `start` and `end` are offsets into the document's text, those of `highlights` into the passage's, those in `snippet` its own.
 */

/** Documents, their passages and the search over them. */
export class Engine {
  /** @param {{mode?: string, boosts?: Record<string, number>}} [options] */
  constructor({ mode = 'grams', boosts = BOOSTS } = {}) {
    this.mode = mode;
    this.boosts = boosts;
    this.parts = new Map();
    this.documents = new Map();
    this.passages = new Map();
    this.next = 0;
  }

  /**
   * Add a document, in place of its last version.
   * @param {Document} document without `user` it is shared with everyone
   * @returns {number} its passages
   */
  add({ id, title, text, user = SHARED }) {
    if (typeof id !== 'string' || typeof text !== 'string') throw new TypeError('a document needs an id and a text');
    if (typeof user !== 'string') throw new TypeError('the user of a document is a string'); // never shared by mistake
    this.drop(user, id);
    const key = this.key(user, id);
    const part = this.part(user);
    const found = chunk(text).map((passage) => {
      const number = this.next++;
      part.add(number, this.terms(title ?? '', passage));
      this.passages.set(number, { document: id, title: title ?? '', ...passage });
      return number;
    });
    this.documents.set(key, found);
    return found.length;
  }

  /**
   * Remove a document.
   * @param {string} id
   * @param {{user?: string}} [options] whose it is; without it, every user's document of that id, or the shared one if no user has it
   * @returns {boolean} whether there was one
   */
  remove(id, { user } = {}) {
    if (user !== undefined) return this.drop(user, id);
    const owners = [...this.parts.keys()].filter((owner) => owner !== SHARED && this.documents.has(this.key(owner, id)));
    return (owners.length ? owners : [SHARED]).map((owner) => this.drop(owner, id)).some(Boolean);
  }

  /**
   * The passages that answer a query best: the user's own and the shared ones.
   * @param {string} query
   * @param {{k?: number, user?: string}} [options]
   * @returns {Passage[]}
   */
  search(query, { k = 5, user } = {}) {
    const parts = [...new Set([SHARED, user ?? SHARED])].map((owner) => this.parts.get(owner)).filter((part) => part?.size);
    if (!parts.length) return [];
    const asked = String(query).slice(0, LONGEST_QUERY);
    return rank(parts, this.weigh(asked, parts), this.boosts)
      .slice(0, k)
      .map(({ id, score }) => {
        const { document, title, index, start, end, text } = this.passages.get(id);
        const ranges = highlights(text, asked, this.mode);
        return { document, title, chunk: index, start, end, text, score, highlights: ranges, snippet: snippet(text, ranges) };
      });
  }

  /** The weights of a query's terms in every field. */
  weigh(query, parts) {
    const read = words(query).map((word) => [this.read(word, parts), weight(word)]);
    const plain = sum(read);
    const letters = sum(this.mode === 'grams' ? read.flatMap(([term, share]) => grams(term).map((gram) => [gram, share])) : []);
    return { title: plain, text: plain, titleGrams: letters, textGrams: letters };
  }

  /** One term for a word: of two readings the one without its particle, if the passages know it better. */
  read(word, parts) {
    if (this.mode === 'raw') return word;
    const known = (term) => parts.reduce((sum, part) => sum + part.having('text', term), 0);
    const [whole, rest] = stems(word);
    return rest !== undefined && known(rest) > PREFERRED * known(whole) ? rest : whole;
  }

  terms(title, { heading, text }) {
    const head = analyse(heading.startsWith(title) ? heading : `${title} ${heading}`, this.mode);
    const body = analyse(text, this.mode);
    return { title: head.terms.flat(), text: body.terms.flat(), titleGrams: head.grams, textGrams: body.grams };
  }

  key(user, id) {
    return JSON.stringify([user, id]);
  }

  part(user) {
    if (!this.parts.has(user)) this.parts.set(user, new Part(FIELDS));
    return this.parts.get(user);
  }

  drop(user, id) {
    const key = this.key(user, id);
    const found = this.documents.get(key);
    if (!found) return false;
    const part = this.parts.get(user);
    for (const number of found) {
      const passage = this.passages.get(number);
      part.remove(number, this.terms(passage.title, passage));
      this.passages.delete(number);
    }
    this.documents.delete(key);
    if (!part.size) this.parts.delete(user);
    return true;
  }
}

/**
 * What Lughawi knows without a model: candidates for root and pattern, the lexicon of the Gulf and of Bahrain, and the
 * variety that words give away. All of it is rule of thumb: several candidates are shown, best first.
 */

import { normalise, tokens } from '../services/retrieval/normalise.js';
import { LEXICON } from './lughawi-lexicon.js';
import { ROOTS } from './lughawi-roots.js';
import { TEMPLATES } from './lughawi-templates.js';

const PREFIXES = ['', 'ال', 'وال', 'فال', 'بال', 'كال', 'لل', 'ولل', 'وبال', 'وكال', 'وب', 'ول', 'و', 'ف', 'ب', 'ل', 'ك', 'س', 'وس', 'فس'];
const SUFFIXES = ['', 'ة', 'ه', 'ها', 'هم', 'هن', 'هما', 'ك', 'كم', 'ي', 'نا', 'ات', 'ون', 'ين', 'ان', 'ت', 'وا', 'تم', 'ني', 'ية', 'يون', 'يين', 'يات', 'تها', 'ته', 'تهم', 'تي', 'اتها', 'اته', 'اتهم', 'اتنا', 'اتكم', 'اتي', 'اتك', 'ا', 'تنا'];
const SLOTS = 'فعل';
const HAMZA = /[أإآؤئء]/g;
const MARKS = /[\u064b-\u065f\u0670\u0640]/g;

/** The letters of a word: vowel and doubling marks away, آ as two letters. */
const lettersOf = (word) =>
  word.normalize('NFC').replace(MARKS, '').replace(/آ/g, 'أا').replace(/[^\u0621-\u064a]/g, '');

/** One hamza for a root, one alef for a pattern. */
const rootLetter = (letter) => letter.replace(HAMZA, 'أ');
const sameLiteral = (letter, literal) => letter === literal || (literal === 'ا' && /[أإا]/.test(letter)) || (literal === 'ئ' && /[ئء]/.test(letter));

/** Roots that a stem has by a template; none where it does not fit. */
function rootsBy(stem, { form, fix, first }) {
  if (fix.startsWith('=')) return stem === form ? [fix.slice(1)] : [];
  if (stem.length !== form.length) return [];
  const root = {};
  for (let at = 0; at < stem.length; at += 1) {
    const slot = SLOTS.includes(form[at]);
    if (!slot && !sameLiteral(stem[at], form[at])) return [];
    if (slot && /[اىة]/.test(stem[at])) return [];
    if (slot) root[form[at]] = rootLetter(stem[at]);
  }
  if (first && !first.includes(root['ف'])) return [];
  if (fix === '2') return [root['ف'] + root['ع'] + root['ع']];
  if (!fix) return [root['ف'] + root['ع'] + root['ل']];
  const [slot, letters] = fix.split(':');
  return [...letters].map((letter) => [...SLOTS].map((one) => (one === slot ? rootLetter(letter) : root[one])).join(''));
}

/**
 * @typedef {{root: string, pattern: string, stem: string, prefix: string, suffix: string, known: boolean, score: number}} Candidate
 * `known`: the root is in the list of common ones
 */

/**
 * Candidates for the root and pattern of a word, best first.
 * @param {string} word with or without vowel marks
 * @param {number} [most]
 * @returns {Candidate[]}
 */
export function morphology(word, most = 3) {
  const whole = lettersOf(word);
  if (whole.length < 2 || whole.length > 16) return [];
  const best = new Map();
  for (const prefix of PREFIXES) {
    if (!whole.startsWith(prefix)) continue;
    for (const suffix of SUFFIXES) {
      const stem = whole.slice(prefix.length, whole.length - suffix.length);
      if (!whole.endsWith(suffix) || stem.length < 2 || stem.length + prefix.length + suffix.length !== whole.length) continue;
      for (const template of TEMPLATES) {
        for (const [rank, root] of rootsBy(stem, template).entries()) {
          const known = ROOTS.has(root);
          const literals = [...template.form].filter((letter) => !SLOTS.includes(letter)).length;
          const article = /ال$|لل$/.test(prefix);
          const score = (known ? 10 : 0) + literals + (article ? 1.5 : -0.9 * prefix.length) - 0.8 * suffix.length -
            (template.fix && !template.fix.startsWith('=') ? 1.2 + 0.5 * rank : 0) - (new Set(root).size < 3 && template.fix !== '2' ? 0.6 : 0);
          const found = { root, pattern: template.name, stem, prefix, suffix, known, score };
          if (!(best.get(root)?.score >= score)) best.set(root, found);
        }
      }
    }
  }
  return [...best.values()].sort((one, other) => other.score - one.score).slice(0, most);
}

const BY_WORD = new Map(LEXICON.flatMap((entry) => entry.words.filter((word) => !word.includes(' ')).map((word) => [normalise(word), entry])));
const PHRASES = LEXICON.flatMap((entry) => entry.words.filter((word) => word.includes(' ')).map((word) => [normalise(word), entry]));
/** Words that standard Arabic has too: they are in the lexicon for their meaning, and give no variety away. */
const SHARED = new Set('متى هناك هو بيت ولد كرسي حار بارد رطوبة غوص عطشان لحاف صبي نعال عقب يم كل رد حق راح قعد لقى يمكن اكيد شغل دوام معاش دكان مرة رقي سكر مال غدا ورا عدل قاعد قاعدة ربع ربيع يد يا طلع خذ خل دور حط ضيع قيظ محمل عزيمة حجرة حرمة ماعون فريق عود عودة عيش قدر هوا برا اقدر تقدر يقدر نقدر روح ليت'.split(' ').map(normalise));

/**
 * The lexicon's entry of a word, also with the article, `هال` or a particle before it.
 * @param {string} word
 * @returns {{entry: import('./lughawi-lexicon.js').Entry, before: string}|null} `before` what stands before the word
 */
export function lookup(word) {
  const plain = normalise(word).replace(/[^\p{L} ]/gu, '');
  const phrase = PHRASES.find(([words]) => words === plain);
  if (phrase) return { entry: phrase[1], before: '' };
  for (const before of ['', 'هال', 'ال', 'وال', 'بال', 'لل', 'عال', 'و', 'ب', 'ف']) {
    if (!plain.startsWith(before)) continue;
    const entry = BY_WORD.get(plain.slice(before.length));
    if (entry && (plain.length - before.length > 2 || !before)) return { entry, before };
  }
  return null;
}

const BEFORE = { '': '', هال: 'هذا ال', ال: 'ال', وال: 'وال', بال: 'بال', لل: 'لل', عال: 'على ال', و: 'و', ب: 'ب', ف: 'ف' };

/**
 * Put the words that the lexicon knows into standard Arabic, one by one; the order of words and the rest stay.
 * @param {string} text
 * @returns {{text: string, replaced: {word: string, standard: string, variety: string, english: string}[]}}
 */
export function standardWords(text) {
  const replaced = [];
  let [out, at] = ['', 0];
  for (const { start, end } of tokens(text)) {
    const word = text.slice(start, end);
    const found = lookup(word);
    if (!found || normalise(found.entry.standard) === normalise(word)) continue;
    const before = found.before.endsWith('ال') || found.before === 'لل' ? BEFORE[found.before] : found.before;
    const { standard, variety, english } = found.entry;
    replaced.push({ word, standard, variety, english });
    out += text.slice(at, start) + before + (before.endsWith('ال') ? standard.replace(/^ال/, '') : standard);
    at = end;
  }
  return { text: out + text.slice(at), replaced };
}

/**
 * The variety that the words of a text give away.
 * @param {string} text
 * @returns {{variety: 'bahraini'|'gulf'|'msa', words: string[]}} `words` the ones that show it; standard Arabic where none does
 */
export function identify(text) {
  const marks = { bahraini: [], gulf: [] };
  for (const { start, end } of tokens(text)) {
    const word = text.slice(start, end);
    const found = lookup(word);
    if (found && !SHARED.has(normalise(word).slice(found.before.length))) marks[found.entry.variety].push(word);
    else if (/[چگ]/.test(word) || /^هال.{3,}/.test(normalise(word))) marks.gulf.push(word);
  }
  if (marks.bahraini.length) return { variety: 'bahraini', words: marks.bahraini };
  if (marks.gulf.length) return { variety: 'gulf', words: marks.gulf };
  return { variety: 'msa', words: [] };
}

export { LEXICON };

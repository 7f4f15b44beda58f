/**
 * Light stemming of normalised words, Arabic after the ideas of Larkey's light10 (cut what is surely a prefix or a suffix,
 * never look for the root), extended for the Gulf, and English by a few endings. A stem need not be a word: all that
 * matters is that the forms of one word come to the same stem.
 */

import { isArabic } from './normalise.js';

/** The article with what may stand before it; `هال` is the Gulf's "this". Longest first. */
const ARTICLES = ['وبهال', 'وعهال', 'وبال', 'فبال', 'وكال', 'وهال', 'بهال', 'عهال', 'ولل', 'فلل', 'وال', 'فال', 'بال', 'كال', 'هال', 'لل', 'ال'];
/** Words that begin with ال and have no article. */
const NO_ARTICLE = /^(?:و|ف|ب|ل|ك)?(?:ال(?:ان|له|تي|ذي|لي|ذين|لذ?ان)$|ال(?:تزا|تحاق|تهاب|تماس|تقا|تبا|غا|زام|كترون|يكترون|مان))/;
/** Suffixes: pronouns, number, gender, case, nisba, past tense; [letters, letters that must remain]. */
const SUFFIXES = [
  ['هما', 3], ['كما', 3], ['ها', 3], ['هم', 3], ['هن', 3], ['كم', 3], ['نا', 3], ['ات', 2], ['ان', 3], ['ون', 3], ['ين', 3], ['وا', 3],
  ['ه', 2], ['ي', 3], ['ك', 4], ['ت', 3], ['ا', 3], ['و', 3],
];
/** Words whose last letters only look like a suffix. */
const WHOLE = new Set(
  ('بحرين قانون قوانين عنوان عناوين تامين زباين زبون ديوان ميزان موازين انسان سلطان حيوان تموين تمارين تكوين تعيين تدوين يقين مساكين ' +
    'دكاكين ملايين براهين مواطن برهان اركان لبنان عمان رمضان').split(' '),
);
/** Particles written as one with the next word. */
const PARTICLE = /^[وفبكل]/;

/** Cut suffixes until none is left to cut. */
function cut(word) {
  for (let left = word; ; ) {
    if (WHOLE.has(left)) return left;
    const found = SUFFIXES.find(([suffix, rest]) => left.endsWith(suffix) && left.length - suffix.length >= rest);
    if (!found) return left;
    left = left.slice(0, -found[0].length);
  }
}

/** The stems of an Arabic word: one, or two where its first letter may be a particle. */
function arabic(word) {
  if (word.length < 3) return [word];
  if (!NO_ARTICLE.test(word)) {
    const article = ARTICLES.find((prefix) => word.startsWith(prefix) && word.length - prefix.length >= 2);
    if (article) return [cut(word.slice(article.length))];
  }
  const stem = cut(word);
  return PARTICLE.test(stem) && stem.length >= 4 ? [stem, cut(stem.slice(1))] : [stem];
}

const VOWEL = /[aeiouy]/;

/** The stem of an English word: possessive, plural, -ing and -ed, final e. */
function english(word) {
  let stem = word.replace(/'s?$|'.*$/, '');
  if (stem.length < 4) return stem;
  if (stem.endsWith('ies')) stem = `${stem.slice(0, -3)}y`;
  else if (/(?:ss|sh|ch|x|z)es$/.test(stem)) stem = stem.slice(0, -2);
  else if (/[^su]s$/.test(stem) && !stem.endsWith('is')) stem = stem.slice(0, -1);
  const ending = /(?:ing|ed)$/.exec(stem);
  if (ending && ending.index >= 3 && VOWEL.test(stem.slice(0, ending.index))) {
    stem = stem.slice(0, ending.index).replace(/([bdfgmnprt])\1$/, '$1');
  }
  return stem.length > 3 && stem.endsWith('e') ? stem.slice(0, -1) : stem;
}

/**
 * The stems of a normalised word. Arabic words that may begin with a particle (`بحساب`) have two, with and without it:
 * without a lexicon nobody can tell `بحساب` from `بطاقة`.
 * @param {string} word as `normalise` writes it
 * @returns {string[]} one or two
 */
export function stems(word) {
  if (isArabic(word)) return arabic(word);
  return /^[a-z]/.test(word) ? [english(word)] : [word];
}

/** @param {string} word @returns {string} the first stem */
export const stem = (word) => stems(word)[0];

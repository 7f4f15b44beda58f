/** Which words of one text stand in another: the check that no model can talk its way around. */

import { isArabic, tokens, words } from '../services/retrieval/normalise.js';
import { stem } from '../services/retrieval/stem.js';

const STOP = new Set(
  words(
    'في من إلى على عن مع بعد قبل عند حتى منذ بين أو أم ثم قد لقد هل ما ماذا من هو هي هم هما هذا هذه ذلك تلك الذي التي الذين كان كانت يكون تكون ' +
      'إن أن إنه أنه إنها أنها كل بعض أي أين متى كم كيف لماذا لا لم لن ليس ليست غير إلا إذا لو كما لكن بل نعم أيضا فقط عليه عليها له لها به بها فيه فيها منه منها ' +
      'لدى لدي لهم لهن لنا لكم لي لك معه معها معهم يا و ف ب ل ك هناك هنا وهو وهي شنو شنهو وين منهو ليش شلون جم اللي هال حق مب مو ' +
      'a an the of in on at to from by for with and or but not no yes is are was were be been being am do does did has have had it its this that these those there ' +
      'what which who whom whose where when why how as than then so if can could will would shall should may might must i you he she we they his her their my your our',
  ),
);
const NEGATION = new Set(words('لا لم لن ليس ليست ليسوا غير بدون مب مو no not never cannot without isn\'t aren\'t wasn\'t doesn\'t don\'t didn\'t won\'t can\'t'));
const ARTICLE = /^(?:[وف]?[بك]?ال|[وف]?لل)(.{2,})$/u;

/** The forms under which an Arabic word counts as the same: bare of article, particle and pronoun, never of its root's letters. */
function forms(word) {
  if (!isArabic(word)) return [stem(word)];
  const bare = ARTICLE.exec(word)?.[1] ?? word;
  const found = new Set([word, bare]);
  for (const form of [...found]) {
    const short = /^(.{3,}?)(?:ها|هم|هن|نا|كم|ه|ا)$/u.exec(form)?.[1];
    if (short) found.add(short);
    if (short?.length > 3 && short.endsWith('ت')) found.add(short.slice(0, -1)); // بطاقته is بطاقة and a pronoun
  }
  if (bare === word && word.length > 3 && /^[وفبلك]/.test(word)) found.add(word.slice(1));
  return [...found];
}

/** @param {string} text @returns {string[]} its normalised words without those that mean little by themselves */
export const contentWords = (text) => words(text).filter((word) => !STOP.has(word));

/**
 * How many of a text's content words stand in the evidence.
 * @param {string} text
 * @param {string|string[]} evidence
 * @returns {{share: number, count: number, missing: string[], numbers: boolean}} `share` 0-1 (0 for no content words),
 *   `numbers` whether every number of the text is there
 */
export function coverage(text, evidence) {
  const there = new Set([evidence].flat().flatMap((one) => words(one)).flatMap(forms));
  const wanted = [...new Set(contentWords(text))];
  const missing = wanted.filter((word) => !forms(word).some((form) => there.has(form)));
  const numbers = missing.every((word) => !/^\d/.test(word));
  return { share: wanted.length ? 1 - missing.length / wanted.length : 0, count: wanted.length, missing, numbers };
}

/** @param {string} text @returns {boolean} whether it denies something */
export const negates = (text) => tokens(text).some(({ word }) => NEGATION.has(word));

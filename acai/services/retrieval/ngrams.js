/**
 * Letter n-grams of stems, for the plurals that change inside the word. Between `مصرف` and `مصارف` no three letters in a
 * row are the same, so the grams are cut from the letters without long vowels: both are `مصرف`. What is then shorter than a
 * gram has none.
 */

import { isArabic } from './normalise.js';

export const SIZE = 3;

/**
 * A stem without the long vowels after its first letter and without a leading alef.
 * @param {string} stem
 * @returns {string}
 */
export function skeleton(stem) {
  return stem.slice(0, 1).replace('ا', '') + stem.slice(1).replace(/[اوي]/g, '');
}

/**
 * The grams of a stem, each once.
 * @param {string} stem
 * @returns {string[]}
 */
export function grams(stem) {
  if (!isArabic(stem)) return [];
  const bare = skeleton(stem);
  if (bare.length < SIZE) return [];
  const found = new Set();
  for (let at = 0; at + SIZE <= bare.length; at += 1) found.add(bare.slice(at, at + SIZE));
  return [...found];
}

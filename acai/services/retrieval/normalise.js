/**
 * One spelling for words that Arabic writes in several ways, and the words of a text with their places in it.
 * Order of the steps: compatibility forms (NFKC), marks and joiners away, letters unified, digits Western, Latin lower case.
 */

const INVISIBLE = '\\u00ad\\u061c\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2069\\ufeff';
const DROPPED = new RegExp(`[\\p{M}\\u0640\\u0621${INVISIBLE}]`, 'gu');
const LETTERS_AND = `[\\p{L}\\p{M}\\u0640${INVISIBLE}]*`;
/** A number, or letters; digits belong to a word after Latin letters alone (`W4A16`, but `بـ` and `500`). */
const WORD = new RegExp(
  `\\p{Nd}+(?:[.,٫٬]\\p{Nd}+)*|\\p{L}${LETTERS_AND}(?:(?<=[a-z])\\p{Nd}[a-z\\p{Nd}]*)?(?:['’](?=[a-z])[a-z]+)?`,
  'giu',
);
const RUN = new RegExp(`[\\p{scx=Arabic}${INVISIBLE}]+|[^\\p{scx=Arabic}]+`, 'gu');
const THOUSANDS = /^\d{1,3}(?:[,٬]\d{3})+(?:[.٫]\d+)?$/;

/** Letters that stand for another one, Persian and Gulf spellings among them. */
const LETTERS = new Map(
  Object.entries({
    ا: 'أإآٱٲٳ', ي: 'ىئیےې', و: 'ؤۆۇ', ه: 'ةہھۀۂە', ك: 'کڪگچ', ف: 'ڤڢ', ب: 'پ', ز: 'ژ', ق: 'ڨ',
  }).flatMap(([letter, variants]) => [...variants].map((variant) => [variant, letter])),
);
const VARIANT = new RegExp(`[${[...LETTERS.keys()].join('')}]`, 'gu');

/** Western digits for any decimal digits. */
function digits(text) {
  return text.replace(/\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0);
    if (code < 0x80) return digit;
    if (code >= 0x660 && code <= 0x669) return String(code - 0x660);
    if (code >= 0x6f0 && code <= 0x6f9) return String(code - 0x6f0);
    return digit;
  });
}

/**
 * Normalise a text; spaces and punctuation stay. Hamza on a seat becomes its seat (`مسؤول` and `مسئول` are one, as are
 * `فائدة` and the Gulf's `فايدة`), a hamza on the line goes, `چ` and `گ` become `ك`.
 * @param {string} text
 * @returns {string}
 */
export function normalise(text) {
  return digits(text.normalize('NFKC').replace(/\u0626(?=\u0648)/g, '\u0648'))
    .replace(DROPPED, '')
    .replace(VARIANT, (letter) => LETTERS.get(letter))
    .replaceAll('’', "'")
    .toLowerCase();
}

/** A number in one form: thousands joined, the decimal separator a dot. */
function number(text) {
  const western = digits(text);
  return (THOUSANDS.test(western) ? western.replace(/[,٬]/g, '') : western).replace(/[٫,٬]/g, '.');
}

/**
 * @typedef {{word: string, start: number, end: number}} Token a normalised word and where it stands in the text (UTF-16 offsets)
 */

/**
 * The words of a text in order. A word of two scripts (`الـPDF`) is two words.
 * @param {string} text
 * @returns {Token[]}
 */
export function tokens(text) {
  const found = [];
  for (const match of text.matchAll(WORD)) {
    if (/^\p{Nd}/u.test(match[0])) {
      found.push({ word: number(match[0]), start: match.index, end: match.index + match[0].length });
      continue;
    }
    for (const run of match[0].matchAll(RUN)) {
      const start = match.index + run.index;
      for (const word of normalise(run[0]).split(/[^\p{L}\p{Nd}']+/u)) {
        if (word) found.push({ word, start, end: start + run[0].length });
      }
    }
  }
  return found;
}

/**
 * The normalised words alone.
 * @param {string} text
 * @returns {string[]}
 */
export const words = (text) => tokens(text).map((token) => token.word);

/** @param {string} word @returns {boolean} whether it is written in Arabic letters */
export const isArabic = (word) => /\p{Script=Arabic}/u.test(word);

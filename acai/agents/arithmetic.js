/** Arithmetic out of a model's lines, computed again by code: + - × ÷, brackets, percent, Arabic digits. No `eval`. */

const DIGITS = /[٠-٩۰-۹]/g;
const EXPRESSION = /[-+]?[\d(][\d\s.,()+*/%-]*/;

/** Western digits, one sign for each operation, thousands joined. */
export function plain(text) {
  return text
    .replace(/[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, '')
    .replace(DIGITS, (digit) => digit.codePointAt(0) & 0xf)
    .replace(/(?<=\d)[,٬](?=\d{3}(?!\d))/g, '')
    .replace(/٫/g, '.')
    .replace(/٪/g, '%')
    .replace(/[−–—]/g, '-')
    .replace(/[×xX✕·](?=\s*[-(\d])/g, '*')
    .replace(/[÷∶]/g, '/');
}

/**
 * The value of an expression.
 * @param {string} text
 * @returns {number|null} null when it is none
 */
export function compute(text) {
  const parts = text.match(/\d+(?:\.\d+)?|[-+*/()%]|\S/g) ?? [];
  let at = 0;
  const unit = () => {
    if (parts[at] === '-') return (at += 1), -unit();
    if (parts[at] === '+') return (at += 1), unit();
    let value;
    if (parts[at] === '(') {
      at += 1;
      value = sum();
      if (parts[at] !== ')') return NaN;
      at += 1;
    } else if (/^\d/.test(parts[at] ?? '')) value = Number(parts[at++]);
    else return NaN;
    while (parts[at] === '%') {
      value /= 100;
      at += 1;
    }
    return value;
  };
  const product = () => {
    let value = unit();
    while (parts[at] === '*' || parts[at] === '/') value = parts[at++] === '*' ? value * unit() : value / unit();
    return value;
  };
  const sum = () => {
    let value = product();
    while (parts[at] === '+' || parts[at] === '-') value = parts[at++] === '+' ? value + product() : value - product();
    return value;
  };
  if (parts.length > 200) return null;
  const value = sum();
  return at === parts.length && Number.isFinite(value) ? value : null;
}

/** Equal, or equal as far as the written digits go (2 / 3 = 0.67). */
function same(value, written) {
  const said = Number(written);
  const places = written.split('.')[1]?.length ?? 0;
  return Math.abs(value - said) <= (places ? 0.5 * 10 ** -places : 0) + 1e-9 * Math.max(1, Math.abs(value));
}

/**
 * The equations of a line, checked.
 * @param {string} line
 * @returns {{left: string, said: number, expected: number, correct: boolean}[]}
 */
export function equations(line) {
  const sides = plain(line).split('=');
  const found = [];
  for (let at = 0; at + 1 < sides.length; at += 1) {
    const left = /(?:[-+]?[\d(][\d\s.()+*/%-]*)$/.exec(sides[at].trimEnd())?.[0].trim();
    const right = EXPRESSION.exec(sides[at + 1])?.[0].trim().replace(/[.,]$/, '');
    if (!left || !right || /[^\s]/.test(sides[at + 1].slice(0, sides[at + 1].search(/[-+\d(]/)))) continue;
    const expected = compute(left);
    const said = compute(right);
    if (expected === null || said === null) continue;
    const correct = /^-?\d+(?:\.\d+)?$/.test(right) ? same(expected, right) : Math.abs(expected - said) < 1e-9;
    found.push({ left, said, expected, correct });
  }
  return found;
}

/** @param {string} text @returns {number[]} the numbers that stand in it */
export const numbersIn = (text) => (plain(text).match(/\d+(?:\.\d+)?/g) ?? []).map(Number);

/** The lines of a PDF's page out of its pieces of text, each in the order in which it is read. */

const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/g;
const LETTER = /\p{L}/gu;
const FORMS = /[\ufb50-\ufdff\ufe70-\ufefc]+/g;
const MIRRORED = new Map([...'()[]{}<>«»‹›'].map((sign, at, all) => [sign, all[at ^ 1]]));
/** Gap, as a share of the letters' height, that is a space though the file has none. */
const SPACE = 0.15;
/** A space narrower than that only moves a mark. */
const NOTHING = 0.3;
/** Distance of two lines, in heights, beyond which a paragraph ends. */
const APART = 1.8;
/** Share of the widest line from which a line is full, so that the next goes on with its sentence. */
const FULL = 0.8;

/** @typedef {{str: string, transform: number[], width: number, height: number}} Item as pdf.js gives it: text at a place */

const letters = (text) => text.match(LETTER)?.length ?? 0;
const rtlLetters = (text) => text.replace(/\p{Nd}/gu, '').match(RTL)?.length ?? 0;

/** `r` and `l` for letters, `n` for digits without letters, empty for the rest. */
function kind({ str }) {
  if (rtlLetters(str)) return 'r';
  if (letters(str)) return 'l';
  return /\p{Nd}/u.test(str) ? 'n' : '';
}

/** Turn round every stretch that reads against the line: Latin words and what stands between them, or Arabic ones. */
function turnRuns(items, rtl) {
  const against = (item) => (rtl ? 'ln' : 'r').includes(kind(item) || ' ');
  const anchor = rtl ? 'l' : 'r';
  for (let at = 0; at < items.length; at += 1) {
    if (!against(items[at])) continue;
    let end = -1;
    let stop = at;
    for (; stop < items.length && (against(items[stop]) || !kind(items[stop])); stop += 1) {
      if (kind(items[stop]) === anchor) end = stop;
    }
    if (end < 0) {
      at = stop - 1; // numbers alone stand in the line's own direction
      continue;
    }
    items.slice(at, end + 1).reverse().forEach((item, offset) => {
      items[at + offset] = { ...item, turned: true };
    });
    at = end;
  }
}

/** An item as it is written, not as it looks: brackets within Arabic face the other way, a stop after Latin stands left of it. */
function logical({ str, turned }, rtl) {
  if (rtl !== Boolean(turned)) return str.replace(/[()[\]{}<>«»‹›]/g, (sign) => MIRRORED.get(sign));
  return rtl ? str.replace(/^([.,:;!?…]+)(?=\p{L})(.*)$/su, '$2$1') : str;
}

/** The items of one line as text. */
function lineText(line, pageRtl) {
  const text = line.items.map((item) => item.str).join('');
  const arabic = rtlLetters(text);
  const rtl = arabic > 0 && (pageRtl || arabic === letters(text));
  const items = [...line.items].sort((one, other) => (rtl ? other.right - one.right : one.left - other.left));
  turnRuns(items, rtl);
  const parts = items.map((item, at) => {
    const before = items[at - 1];
    const gap = before ? Math.max(item.left - before.right, before.left - item.right) : 0;
    const space = gap > SPACE * (item.height || 10) && !/\s$/.test(before.str) && !/^\s/.test(item.str);
    return (space ? ' ' : '') + logical(item, rtl);
  });
  return parts.join('').trim();
}

/** Items to lines: those at about the same height on the page, in the order of the file. */
function gather(items) {
  const lines = [];
  for (const { str, width, height, transform } of items) {
    const [left, y] = transform.slice(4);
    const blank = !str.trim();
    if (!str || (blank && width < NOTHING)) continue;
    const line = lines.at(-1);
    const item = { str, left, right: left + width, height };
    if (line && Math.abs(line.y - y) < 0.5 * (height || line.height || 10)) {
      line.items.push(item);
      line.left = Math.min(line.left, left);
      line.right = Math.max(line.right, item.right);
    } else if (!blank) lines.push({ y, height, left, right: item.right, items: [item] });
  }
  return lines;
}

/**
 * The text of a page: a sentence that goes on in the next line stays in one line, a blank line parts what stands apart.
 * @param {Item[]} items
 * @returns {string}
 */
export function pageLines(items) {
  const lines = gather(items);
  const all = lines.flatMap((line) => line.items.map((item) => item.str)).join('');
  const pageRtl = rtlLetters(all) * 2 > letters(all);
  const widest = lines.reduce((most, line) => Math.max(most, line.right - line.left), 0);
  const parts = lines.map((line) => lineText(line, pageRtl));
  const between = parts.map((own, at) => {
    const [before, line] = [lines[at - 1], lines[at]];
    if (!before) return '';
    if (Math.abs(before.y - line.y) > APART * (line.height || 10)) return '\n\n';
    if (before.right - before.left < FULL * widest) return '\n';
    if (!/\p{Ll}-$/u.test(parts[at - 1].slice(-2)) || !/^\p{Ll}/u.test(own)) return ' ';
    parts[at - 1] = parts[at - 1].slice(0, -1);
    return '';
  });
  return parts.map((own, at) => between[at] + own).join('').replace(FORMS, (forms) => forms.normalize('NFKC'));
}

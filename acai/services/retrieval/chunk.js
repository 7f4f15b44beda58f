/**
 * Passages of a document: whole sentences, about a hundred words, a new one at a heading, the last sentence repeated at
 * the start of the next so that nothing is lost at a border.
 */

export const LEAST = 80;
export const MOST = 120;
/** A heading ends a passage only when it has as many words; shorter sections stay together. */
const ENOUGH = 40;
/** Fewer new words than that make no passage of their own. */
const SHORT = 30;
const HEADING = /^#{1,6}\s/;
const SENTENCE_END = /(?<![.!?؟。…])[.!?؟。…]+["'”»)\]]*(?=\s|$)/gu;
const COUNTED = /[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd}\u0640'’.,-]*/gu;

/** What is longer than that is no word, and counts as several. */
const LONG = 30;

/** @param {string} text @returns {number} its words */
const count = (text) => Math.max(text.match(COUNTED)?.length ?? 0, Math.ceil(text.length / LONG));

/** Shorten a range so that it neither begins nor ends with a space. */
function trim(text, start, end) {
  while (start < end && /\s/.test(text[start])) start += 1;
  while (end > start && /\s/.test(text[end - 1])) end -= 1;
  return [start, end];
}

/** Cut a sentence of more than MOST words (a table, a text without full stops) at spaces. */
function* pieces(text, start, end) {
  const found = [...text.slice(start, end).matchAll(/\S{1,1000}/gu)];
  let from = start;
  let words = 0;
  for (const word of found) {
    const size = count(word[0]);
    if (words && words + size > MOST) {
      yield [from, start + word.index];
      from = start + word.index;
      words = 0;
    }
    words += size;
  }
  yield [from, end];
}

/**
 * The sentences of a text; a line break ends one too, and a heading is one.
 * @param {string} text
 * @returns {{start: number, end: number, words: number, heading: boolean}[]}
 */
export function sentences(text) {
  const found = [];
  for (const line of text.matchAll(/[^\n\r\u2028\u2029]+/g)) {
    const heading = HEADING.test(line[0]);
    const ends = heading ? [] : [...line[0].matchAll(SENTENCE_END)].map((match) => match.index + match[0].length);
    let from = 0;
    for (const to of [...ends, line[0].length]) {
      for (const piece of pieces(text, line.index + from, line.index + to)) {
        const [start, end] = trim(text, ...piece);
        if (end > start) found.push({ start, end, words: count(text.slice(start, end)), heading });
      }
      from = to;
    }
  }
  return found;
}

/**
 * @typedef {{index: number, start: number, end: number, text: string, heading: string}} Chunk
 * `text` is exactly `source.slice(start, end)`; `heading` the headings that hold where it begins.
 */

/** Collects sentences into passages. */
class Collector {
  constructor(text) {
    this.text = text;
    this.found = [];
    this.path = [];
    this.reset();
  }

  /** Start a passage, with a sentence repeated from the last one or with nothing. */
  reset(repeated) {
    this.open = repeated ? [repeated] : [];
    this.repeated = Boolean(repeated);
    this.words = repeated?.words ?? 0;
    this.heading = this.headings();
  }

  headings() {
    return this.path.filter(Boolean).join(' ');
  }

  add(sentence) {
    this.open.push(sentence);
    this.words += sentence.words;
  }

  /** End the passage; a short rest is joined to the passage before it. */
  close(repeat) {
    const last = this.open.at(-1);
    if (this.open.length > Number(this.repeated)) {
      const rest = this.words - this.open[0].words;
      if (this.repeated && rest < SHORT) this.found.at(-1).end = last.end;
      else this.found.push({ start: this.open[0].start, end: last.end, heading: this.heading });
    }
    this.reset(repeat && last && !last.heading && last.words <= ENOUGH ? last : undefined);
  }

  /** A heading: remember it under those above it. */
  enter(sentence) {
    if (this.words >= ENOUGH) this.close(false);
    const [, marks, title] = /^(#+)\s+(.*)$/su.exec(this.text.slice(sentence.start, sentence.end)) ?? [null, '#', ''];
    this.path.length = Math.min(this.path.length, marks.length);
    this.path[marks.length] = title;
    if (!this.open.length) this.heading = this.headings();
  }
}

/**
 * Cut a text into passages.
 * @param {string} text
 * @returns {Chunk[]}
 */
export function chunk(text) {
  const collector = new Collector(text);
  for (const sentence of sentences(text)) {
    if (sentence.heading) collector.enter(sentence);
    else if (collector.words >= LEAST || (collector.words && collector.words + sentence.words > MOST)) {
      collector.close(collector.open.at(-1).words + sentence.words <= MOST);
    }
    collector.add(sentence);
  }
  collector.close(false);
  return collector.found.map((passage, index) => ({ index, ...passage, text: text.slice(passage.start, passage.end) }));
}

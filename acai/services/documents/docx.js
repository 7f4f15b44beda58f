/** Text of a Word document: paragraphs in order, headings marked, tables a line a row. */

import { DocumentError, checkLength } from './errors.js';
import { attribute, walk } from './xml.js';
import { unzip } from './zip.js';

const OTHER = /^(?:xl|ppt)\//;
const DEEPEST = 6;

/** Style id -> level of the heading it makes, counted from 1; the ids differ from language to language, the names do not. */
async function headingStyles(xml) {
  const levels = new Map();
  let style;
  await walk(xml, {
    open(name, tag) {
      if (name === 'style') style = attribute(tag, 'styleId');
      else if (name === 'name' && style) {
        const [, level, title] = /^(?:heading (\d)|(title))$/i.exec(attribute(tag, 'val') ?? '') ?? [];
        if (level || title) levels.set(style, title ? 1 : Number(level));
      } else if (name === 'outlineLvl' && style && !levels.has(style)) levels.set(style, Number(attribute(tag, 'val')) + 1);
    },
    close(name) {
      if (name === 'style') style = undefined;
    },
  });
  return levels;
}

/** Collects the paragraphs of word/document.xml. A text box holds paragraphs within a paragraph, hence the stack. */
class Body {
  constructor(levels) {
    this.levels = levels;
    this.lines = [];
    this.length = 0;
    this.stack = [];
    this.rows = [];
    this.fallback = 0;
    this.inText = false;
  }

  open(name, tag) {
    if (name === 'Fallback') this.fallback += 1;
    if (this.fallback) return;
    const paragraph = this.stack.at(-1);
    if (name === 'p') this.stack.push({ text: '', level: 0 });
    else if (name === 'tr') this.rows.push([]);
    else if (name === 'tc') this.rows.at(-1)?.push('');
    else if (!paragraph) return;
    else if (name === 't') this.inText = true;
    else if (name === 'tab') paragraph.text += '\t';
    else if (name === 'br' || name === 'cr') paragraph.text += '\n';
    else if (name === 'noBreakHyphen') paragraph.text += '-';
    else if (name === 'pStyle') paragraph.level = this.levels.get(attribute(tag, 'val')) ?? 0;
    else if (name === 'outlineLvl') paragraph.level = Number(attribute(tag, 'val')) + 1;
  }

  text(text) {
    if (!this.inText || this.fallback) return;
    const paragraph = this.stack.at(-1);
    if (paragraph) paragraph.text += text;
  }

  close(name) {
    if (name === 'Fallback') this.fallback = Math.max(0, this.fallback - 1);
    if (this.fallback) return;
    if (name === 't') this.inText = false;
    else if (name === 'p') this.paragraph(this.stack.pop());
    else if (name === 'tr') this.put((this.rows.pop() ?? []).filter(Boolean).join(' | '));
  }

  paragraph(paragraph) {
    const text = paragraph?.text.trim();
    if (!text) return;
    const row = this.rows.at(-1);
    if (row?.length) row[row.length - 1] += (row.at(-1) ? ' ' : '') + text.replace(/\s+/g, ' ');
    else this.put(paragraph.level >= 1 && paragraph.level <= DEEPEST ? `${'#'.repeat(paragraph.level)} ${text.replace(/\s+/g, ' ')}` : text);
  }

  put(line) {
    const row = this.rows.at(-1);
    if (row?.length) row[row.length - 1] += ` ${line}`; // a table within a table
    else if (line) this.lines.push(line);
    this.length += line.length;
    checkLength(this.length);
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<{text: string}>}
 * @throws {DocumentError}
 */
export async function readDocx(bytes) {
  const archive = unzip(bytes);
  const names = [...archive.entries.keys()];
  const main = names.filter((name) => /^word\/document\d*\.xml$/.test(name)).sort()[0];
  if (!main) throw new DocumentError('doc.unsupported', { type: names.some((name) => OTHER.test(name)) ? 'xlsx/pptx' : 'zip' });
  const content = async (name) => (archive.entries.has(name) ? new TextDecoder().decode(await archive.read(name)) : '');
  const body = new Body(await headingStyles(await content('word/styles.xml')));
  const on = { open: (...args) => body.open(...args), close: (name) => body.close(name), text: (text) => body.text(text) };
  for (const name of [main, 'word/footnotes.xml', 'word/endnotes.xml']) await walk(await content(name), on);
  return { text: body.lines.join('\n\n') };
}

/** The side panel with a passage: what was cited, highlighted, in its place in the document. */

import { button, h, list, number, text } from './dom.js';
import { t } from './strings.js';
import { attempt } from './tell.js';

/** Characters shown around a passage in its document. */
const AROUND = 3000;

/** A text with ranges marked; ranges that are none are left out. @returns {Node[]} */
export function marked(whole, ranges, tag = 'mark') {
  const found = [];
  let at = 0;
  for (const [start, end] of [...ranges].sort((one, other) => one[0] - other[0])) {
    if (!(Number.isInteger(start) && Number.isInteger(end)) || start < at || end <= start || end > whole.length) continue;
    found.push(whole.slice(at, start), h(tag, null, whole.slice(start, end)));
    at = end;
  }
  found.push(whole.slice(at));
  return found;
}

/** Where the panel goes back to when it closes. */
const panel = { opener: null };
const place = () => document.getElementById('passage');

export function close() {
  const element = place();
  if (element.hidden) return false;
  element.hidden = true;
  element.replaceChildren();
  if (panel.opener?.isConnected) panel.opener.focus();
  return true;
}

function quoteOf(source, passage) {
  const { start, end } = source.quote ?? {};
  return Number.isInteger(start) && Number.isInteger(end) && end <= passage.length ? [[start, end]] : [];
}

/** The document around the passage. */
async function around(app, passage, target) {
  const found = await attempt(() => app.documentText(text(passage.document)));
  if (typeof found !== 'string') return;
  const [start, end] = [number(passage.start) ?? 0, number(passage.end) ?? 0];
  const [from, to] = [Math.max(0, start - AROUND), Math.min(found.length, end + AROUND)];
  const shown = h('div', { class: 'passage-text wrap', dir: 'auto', tabIndex: 0, role: 'region', 'aria-label': t('passage.document') },
    from > 0 && '… ', ...marked(found.slice(from, to), [[start - from, end - from]]), to < found.length && ' …');
  target.replaceChildren(h('h3', null, t('passage.document')), shown);
  const mark = shown.querySelector('mark');
  if (mark) shown.scrollTop = mark.getBoundingClientRect().top - shown.getBoundingClientRect().top - 40;
}

/**
 * Open a cited source.
 * @param {object} app
 * @param {{n?: number, text?: string, quote?: {start: number, end: number}, passage?: object}} source
 * @param {HTMLElement} [opener] gets the focus back
 */
export function open(app, source, opener = document.activeElement) {
  panel.opener = opener;
  const passage = source.passage ?? {};
  const whole = text(passage.text) || text(source.text);
  const more = h('div', { class: 'passage-more' });
  const title = h('h2', { dir: 'auto', tabIndex: -1 }, number(source.n) ? `[${source.n}] ` : '', text(passage.title) || t('passage.untitled'));
  const show = button(t('passage.show_document'), () => { show.remove(); void around(app, passage, more); }, { icon: 'documents', class: 'small' });
  place().replaceChildren(
    h('header', { class: 'row between' }, title, button(t('app.close'), close, { icon: 'close', only: true })),
    h('p', { class: 'muted small' }, t('passage.cited')),
    h('blockquote', { class: 'passage-text wrap', dir: 'auto' }, ...marked(whole, quoteOf(source, whole))),
    passage.remote === true ? h('p', { class: 'warning small', dir: 'auto' }, t('passage.remote', { address: text(passage.url) })) : text(passage.document) ? show : null, more);
  place().hidden = false;
  title.focus();
}

/** A button that opens a source. */
export const opener = (app, source, label = `[${source.n}]`, kind = 'cite') => {
  const name = text(source.passage?.title);
  const made = h('button', { type: 'button', class: kind, dir: 'auto', 'aria-label': t('answer.open_source', { n: text(source.n), title: name }), title: name,
    onclick: () => open(app, source, made) }, label);
  return made;
};

/** Turn every `[n]` of a given source in a rendered answer into its button. */
export function link(app, root, sources) {
  const given = new Map(list(sources).map((source) => [source.n, source]));
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const nodes = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) if (/\[\d+\]/.test(node.data)) nodes.push(node);
  for (const node of nodes) {
    if (node.parentElement?.closest('code, a, button')) continue;
    const parts = node.data.split(/\[(\d{1,4})\]/);
    node.replaceWith(...parts.map((part, at) => {
      if (at % 2 === 0) return part;
      const source = given.get(Number(part));
      return source ? opener(app, source) : `[${part}]`;
    }));
  }
}

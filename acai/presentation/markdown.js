/** A model's or a document's markdown as a safe piece of the page: no images, no markup of its own, links that ask first. */

import { Marked } from '../vendor/marked.js';
import DOMPurify from '../vendor/dompurify.js';
import { h } from './dom.js';
import { t } from './strings.js';
import { confirm } from './tell.js';

const LONGEST = 100_000;
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => text.replace(/[&<>"']/g, (sign) => ESCAPES[sign]);
/** Markup inside markdown is shown as what it is, and a picture as the words that stand for it. */
const parser = new Marked({ gfm: true, breaks: true, renderer: { html: ({ text }) => escape(text), image: ({ text }) => escape(text) } });
const TAGS = ['p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong', 'del',
  'table', 'thead', 'tbody', 'tr', 'th', 'td', 'a'];
const BLOCKS = 'p, h1, h2, h3, h4, h5, h6, ul, ol, li, blockquote, table, th, td';

/** Opens an address outside, after the user agreed to leave the device. */
async function leave(address) {
  if (await confirm(t('link.title'), t('link.body', { address }), { yes: t('link.open') })) {
    globalThis.open(address, '_blank', 'noopener,noreferrer');
  }
}

/**
 * A link as its text, with its address shown; only http and https can be opened. It has no href: at a hover or a press
 * browsers connect to the address of one, before anybody agreed to that.
 */
function tame(link) {
  const address = link.getAttribute('href') ?? '';
  let url = null;
  try {
    url = new URL(address);
  } catch { /* no address of its own */ }
  const parts = [...link.childNodes];
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    link.replaceWith(...parts);
    return;
  }
  const shown = link.textContent.trim() === address ? [] : [' ', h('code', { dir: 'ltr' }, url.href)];
  const open = () => void leave(url.href);
  link.replaceWith(h('a', {
    role: 'link', tabIndex: 0, class: 'outside', title: t('link.outside'), onclick: open,
    onkeydown: (event) => event.key === 'Enter' && open(),
  }, parts), ...shown);
}

/**
 * @param {string} source markdown of anybody
 * @returns {DocumentFragment}
 */
export function render(source) {
  const text = String(source ?? '').slice(0, LONGEST).replace(/[\u202a-\u202e\u2066-\u2069]/g, '');
  let html;
  try {
    html = parser.parse(text, { async: false });
  } catch { // too deep for the parser
    const plain = document.createDocumentFragment();
    plain.append(h('p', { dir: 'auto', class: 'wrap' }, text));
    return plain;
  }
  const fragment = DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ['href', 'start'], ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: /^https?:/i, RETURN_DOM_FRAGMENT: true,
  });
  for (const link of fragment.querySelectorAll('a')) tame(link);
  for (const one of fragment.querySelectorAll(BLOCKS)) one.setAttribute('dir', 'auto');
  for (const one of fragment.querySelectorAll('pre')) one.setAttribute('dir', 'ltr');
  for (const table of fragment.querySelectorAll('table')) {
    const frame = h('div', { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': t('answer.table') });
    table.replaceWith(frame);
    frame.append(table);
  }
  return fragment;
}

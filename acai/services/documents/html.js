/** Text of an HTML page. The page is parsed, never shown: nothing of it runs, nothing is fetched. */

import { decode } from './decode.js';
import { checkLength } from './errors.js';

const SILENT = new Set('SCRIPT STYLE NOSCRIPT TEMPLATE IFRAME OBJECT EMBED SVG MATH CANVAS AUDIO VIDEO HEAD SELECT BUTTON INPUT TEXTAREA DIALOG'.split(' '));
const BLOCKS = new Set(
  'ADDRESS ARTICLE ASIDE BLOCKQUOTE BODY CAPTION DD DETAILS DIV DL DT FIELDSET FIGCAPTION FIGURE FOOTER FORM HEADER HR HTML LI MAIN NAV OL P PRE SECTION SUMMARY TABLE TBODY TFOOT THEAD TR UL'.split(' '),
);
const CELLS = new Set(['TD', 'TH']);

/** The encoding that a page names itself. @param {Uint8Array} bytes */
export function declared(bytes) {
  const head = new TextDecoder('windows-1252').decode(bytes.subarray(0, 4096));
  return /<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w-]{2,30})/i.exec(head)?.[1];
}

/** Whether an element says that it is not to be seen. */
const hidden = (element) => element.hidden || element.getAttribute('aria-hidden') === 'true';

/**
 * The text of a parsed page: a paragraph for each block, headings as in markdown. Walks without recursion, so depth is free.
 * @param {Document} page
 * @returns {string}
 */
export function pageText(page) {
  const parts = [];
  let node = page.body;
  const end = node;
  while (node) {
    let inside = null;
    if (node.nodeType === 3) parts.push(node.data.replace(/[^\S\u00a0]+/g, ' '));
    else if (node.nodeType === 1 && !SILENT.has(node.tagName.toUpperCase()) && !hidden(node)) {
      const level = /^H([1-6])$/.exec(node.tagName)?.[1];
      if (level) parts.push(`\n\n${'#'.repeat(Number(level))} `);
      else if (BLOCKS.has(node.tagName)) parts.push('\n\n');
      else if (node.tagName === 'BR') parts.push('\n');
      else if (CELLS.has(node.tagName)) parts.push(' | ');
      inside = node.firstChild;
    }
    if (inside) {
      node = inside;
      continue;
    }
    while (node && node !== end && !node.nextSibling) {
      node = node.parentNode;
      if (node !== end && (BLOCKS.has(node.tagName) || /^H[1-6]$/.test(node.tagName))) parts.push('\n\n');
    }
    node = node === end ? null : node.nextSibling;
  }
  return parts
    .join('')
    .replace(/^[ \t|]+|[ \t]+$/gm, '')
    .replace(/^#+$/gm, '')
    .replace(/[ \t]{2,}/g, ' ')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

/**
 * @param {string} markup
 * @returns {{title: string, text: string}}
 */
export function htmlText(markup) {
  checkLength(markup.length);
  const page = new DOMParser().parseFromString(markup, 'text/html');
  return { title: page.title.trim(), text: pageText(page) };
}

/** @param {Uint8Array} bytes @returns {{title: string, text: string}} */
export const readHtml = (bytes) => htmlText(decode(bytes, declared(bytes)));

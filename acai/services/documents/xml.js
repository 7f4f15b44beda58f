/** A scanner of XML for office documents: tags and text in order, no entities of its own, time linear in the length. */

import { DocumentError } from './errors.js';

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const PAUSE = 2 ** 18;

/** Text with its character references resolved; an unknown one stays as it stands. */
export function unescape(text) {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#x([\da-f]{1,6})|#(\d{1,7})|([a-z]{2,4}));/gi, (match, hex, decimal, name) => {
    if (name) return ENTITIES[name] ?? match;
    const code = parseInt(hex ?? decimal, hex ? 16 : 10);
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : '\ufffd';
  });
}

/** Where a tag ends: the next > outside quotes. */
function tagEnd(xml, from) {
  for (let at = from; at < xml.length; at += 1) {
    const sign = xml[at];
    if (sign === '>') return at;
    if (sign === '"' || sign === "'") {
      at = xml.indexOf(sign, at + 1);
      if (at < 0) return -1;
    }
  }
  return -1;
}

/** The value of an attribute, by its local name. @param {string} tag @param {string} name @returns {string|undefined} */
export function attribute(tag, name) {
  const match = new RegExp(`[\\s:]${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(tag);
  return match ? unescape(match[1] ?? match[2]) : undefined;
}

/**
 * Walk through a document; now and then the event loop gets its turn.
 * @param {string} xml
 * @param {{open?: (name: string, tag: string) => void, close?: (name: string) => void, text?: (text: string) => void}} on
 *   local names; an empty element is opened and closed
 * @throws {DocumentError} doc.damaged; also for a document type, which no office document has
 */
export async function walk(xml, { open = () => {}, close = () => {}, text = () => {} }) {
  const damaged = () => new DocumentError('doc.damaged', { format: 'xml' });
  const skip = (mark, at) => {
    const end = xml.indexOf(mark, at);
    if (end < 0) throw damaged();
    return end + mark.length;
  };
  let [at, pause] = [0, PAUSE];
  while (at < xml.length) {
    if (at > pause) {
      pause = at + PAUSE;
      await new Promise((resolve) => setTimeout(resolve));
    }
    const start = xml.indexOf('<', at);
    if (start !== at) text(unescape(xml.slice(at, start < 0 ? xml.length : start)));
    if (start < 0) break;
    if (xml.startsWith('<!--', start)) at = skip('-->', start);
    else if (xml.startsWith('<?', start)) at = skip('?>', start);
    else if (xml.startsWith('<![CDATA[', start)) {
      at = skip(']]>', start);
      text(xml.slice(start + 9, at - 3));
    } else if (xml.startsWith('<!', start)) throw damaged();
    else {
      const end = tagEnd(xml, start + 1);
      if (end < 0) throw damaged();
      const tag = xml.slice(start + 1, end);
      const name = /^\/?(?:[^\s/>:]*:)?([^\s/>]*)/.exec(tag)[1];
      if (tag[0] === '/') close(name);
      else {
        open(name, tag);
        if (tag.endsWith('/')) close(name);
      }
      at = end + 1;
    }
  }
}

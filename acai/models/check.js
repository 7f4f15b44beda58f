/** Hand-written checks of a backup, record by record: types, sizes, ids, references, and no key that reaches a prototype. */

import { StoreError } from './errors.js';

export const LIMITS = Object.freeze({ file: 256 * 2 ** 20, records: 200_000, text: 2 ** 20, depth: 16, nodes: 200_000 });
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);
const NEWEST = 4102444800000; // the year 2100

const bad = (where) => new StoreError('backup.damaged', { where });
const plain = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const text = (most = LIMITS.text) => (value) => typeof value === 'string' && value.length <= most;
const whole = (value) => Number.isSafeInteger(value) && value >= 0;
const time = (value) => Number.isFinite(value) && value >= 0 && value < NEWEST;
const id = (value) => typeof value === 'string' && ID.test(value);
const or = (check) => (value) => value === null || value === undefined || check(value);
const flag = or((value) => typeof value === 'boolean');
const agent = (value) => typeof value === 'string' && /^[a-z]{2,20}$/.test(value);
const state = (value) => ['writing', 'complete', 'stopped', 'failed'].includes(value);
const language = (value) => ['ar', 'en'].includes(value);

/** Any JSON of limited depth and size, with no forbidden key. */
export function harmless(value) {
  let nodes = 0;
  const look = (one, depth) => {
    nodes += 1;
    if (nodes > LIMITS.nodes || depth > LIMITS.depth) return false;
    if (typeof one === 'string') return one.length <= LIMITS.text;
    if (one === null || typeof one !== 'object') return true;
    return Object.entries(one).every(([key, inner]) => !FORBIDDEN.has(key) && key.length <= 200 && look(inner, depth + 1));
  };
  return look(value, 0);
}

/** Store -> field -> whether a value will do. Fields that are not here are refused. */
const FIELDS = {
  chats: { title: text(400), updated: time },
  queries: { chat: id, text: text(), agent, route: or(harmless), language: or(language) },
  responses: { chat: id, query: or(id), agent, text: text(), state, complete: flag, aborted: flag, parts: or(harmless), confidence: or(harmless), order: or((list) => Array.isArray(list) && list.length <= 12 && list.every(agent)), llm: or(id) },
  agents: { agent, uses: whole, last: time },
  llms: { model: text(200), name: text(400), device: text(40), form: text(40), context: whole, bytes: whole, last: time },
  documents: { title: text(400), name: text(400), bytes: whole, characters: whole, pages: or(whole) },
  chunks: { document: id, index: whole, start: whole, end: whole, text: text(2 ** 16) },
};
/** Field -> store that the id must be of, inside the same file. */
const REFERENCES = { chat: 'chats', query: 'queries', document: 'documents', llm: 'llms' };
export const KINDS = Object.freeze(Object.keys(FIELDS));

/** One record, taken over field by field. */
function one(store, place, value, version) {
  const where = `${store}[${place}]`;
  if (!plain(value)) throw bad(where);
  const fields = FIELDS[store];
  const taken = {};
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(fields, key) && !['id', 'user', 'created'].includes(key)) throw bad(`${where}.${key.slice(0, 40)}`);
  }
  if (!id(value.id)) throw bad(`${where}.id`);
  if (!time(value.created)) throw bad(`${where}.created`);
  for (const [field, will] of Object.entries(fields)) {
    const late = version === 1 && store === 'chats';
    if (late && value[field] === undefined) continue;
    if (!will(value[field])) throw bad(`${where}.${field}`);
    if (value[field] !== undefined) taken[field] = value[field];
  }
  return { ...taken, id: value.id, created: value.created };
}

/** Pieces of a document follow one another without a gap and make its length. */
function joined({ documents, chunks }) {
  const pieces = Map.groupBy ? Map.groupBy(chunks, ({ document }) => document) : group(chunks);
  for (const { id: document, characters } of documents) {
    const found = [...(pieces.get(document) ?? [])].sort((first, other) => first.index - other.index);
    let at = 0;
    for (const [index, piece] of found.entries()) {
      if (piece.index !== index || piece.start !== at || piece.end - at !== piece.text.length) throw bad(`documents.${document.slice(0, 8)}`);
      at = piece.end;
    }
    if (at !== characters) throw bad(`documents.${document.slice(0, 8)}`);
  }
}

function group(chunks) {
  const found = new Map();
  for (const chunk of chunks) found.set(chunk.document, [...(found.get(chunk.document) ?? []), chunk]);
  return found;
}

/**
 * @param {unknown} told what JSON.parse gave
 * @returns {{version: number, name: string, stores: Record<string, object[]>}}
 * @throws {StoreError} backup.not_a_backup, backup.newer, backup.damaged {where}
 */
export function checkBackup(told) {
  if (!plain(told) || told.format !== 'acai-backup' || !plain(told.stores)) throw new StoreError('backup.not_a_backup');
  if (!Number.isInteger(told.version) || told.version < 1) throw bad('version');
  if (told.version > 2) throw new StoreError('backup.newer', { version: told.version });
  for (const name of Object.keys(told.stores)) if (!KINDS.includes(name)) throw bad(name.slice(0, 40));
  const stores = {};
  let count = 0;
  for (const name of KINDS) {
    const list = told.stores[name] ?? [];
    if (!Array.isArray(list)) throw bad(name);
    count += list.length;
    if (count > LIMITS.records) throw new StoreError('backup.too_large', { limit: LIMITS.records });
    stores[name] = list.map((value, place) => one(name, place, value, told.version));
  }
  const ids = Object.fromEntries(KINDS.map((name) => [name, new Set(stores[name].map((value) => value.id))]));
  for (const name of KINDS) {
    if (ids[name].size !== stores[name].length) throw bad(`${name}.id`);
    for (const [place, value] of stores[name].entries()) {
      for (const [field, target] of Object.entries(REFERENCES)) {
        if (value[field] && !ids[target].has(value[field])) throw bad(`${name}[${place}].${field}`);
      }
    }
  }
  joined(stores);
  return { version: told.version, name: typeof told.name === 'string' ? told.name.slice(0, 200) : '', stores };
}

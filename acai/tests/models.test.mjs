/** The models layer on an IndexedDB in memory: migration, separation of users, deletion, backups and hostile ones. */
import 'fake-indexeddb/auto';
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { exportAll, importAll } from '../models/backup.js';
import * as chats from '../models/chats.js';
import { open, STORES, VERSION } from '../models/database.js';
import * as documents from '../models/documents.js';
import { told } from '../models/errors.js';
import { storeOf } from '../models/store.js';
import * as used from '../models/used.js';
import * as users from '../models/users.js';

let count = 0;
const fresh = () => open(`test-${(count += 1)}`);
const records = async (db) => Object.fromEntries(await Promise.all(Object.keys(STORES).map(async (name) => [name, await db.count(name)])));
const json = async (blob) => JSON.parse(await blob.text());
const file = (value) => new Blob([typeof value === 'string' ? value : JSON.stringify(value)]);
const refuses = (act, key) => assert.rejects(act, (error) => error.key === key, `expected ${key}`);

/** A chat with one answered question, a document and what was used. */
async function fill(db, user, text = 'ما عاصمة عُمان؟') {
  const chat = await chats.add(db, user);
  const llm = await used.llm(db, user, { id: 'abc', name: 'pocket', device: 'wasm', form: 'q4dq', context: 512, bytes: 10 });
  const store = storeOf(db, user, { llm: () => llm.id });
  const query = await store.addQuery({ chat: chat.id, user, text, agent: 'bahith', route: { agent: 'bahith', confidence: 0.9 }, language: 'ar' });
  const response = await store.addResponse({ chat: chat.id, user, query: query.id, agent: 'bahith' });
  await store.updateResponse(response.id, { text: 'مسقط [1]', state: 'complete', complete: true, aborted: false, order: ['bahith'], parts: { bahith: { text: 'مسقط [1]', sources: [] } } });
  const document = await documents.add(db, user, { title: 'عقد', text: `أول 😀${'نص طويل '.repeat(9000)}`, name: 'عقد.txt', bytes: 100 });
  await used.agent(db, user, 'bahith');
  return { chat, query, response, document };
}

test('a database of version 1 becomes one of version 2 and loses nothing', async () => {
  const name = `test-${(count += 1)}`;
  const old = await open(name, { version: 1 });
  assert.deepEqual([...old.objectStoreNames].sort(), ['agents', 'chats', 'llms', 'queries', 'responses', 'users']);
  const user = { id: crypto.randomUUID(), created: 1, name: 'أمل', guest: false };
  user.user = user.id;
  await old.add('users', user);
  const [empty, asked] = [crypto.randomUUID(), crypto.randomUUID()];
  await old.add('chats', { id: empty, user: user.id, created: 5 });
  await old.add('chats', { id: asked, user: user.id, created: 6 });
  const question = (created, text) => ({ id: crypto.randomUUID(), user: user.id, chat: asked, created, text, agent: 'bahith' });
  await old.add('queries', question(20, 'الثاني'));
  await old.add('queries', question(10, '  السؤال\nالأول  '));
  old.close();
  const db = await open(name);
  assert.equal(db.version, VERSION);
  const found = await chats.list(db, user.id);
  assert.deepEqual(found.map(({ id, title, updated }) => [id, title, updated]), [[asked, 'السؤال الأول', 20], [empty, '', 5]]);
  assert.equal((await chats.exchanges(db, user.id, asked)).length, 2);
  await documents.add(db, user.id, { title: 'د', text: 'نص' });
  db.close();
  await refuses(open(name, { version: 1 }), 'models.newer');
});

test('two openings at once end in one database, and an older page lets go for a newer version', async () => {
  const name = `test-${(count += 1)}`;
  let closed = 0;
  await open(name, { version: 1, onClosed: () => (closed += 1) });
  const both = await Promise.all([open(name), open(name)]);
  assert.equal(closed, 1);
  assert.deepEqual(both.map((db) => db.version), [2, 2]);
});

test('the guest is one, names are unique and clean', async () => {
  const db = await fresh();
  const [one, other] = [await users.guest(db), await users.guest(db)];
  assert.equal(one.id, other.id);
  const made = await users.add(db, '  أمل\u202e \u0000 سالم ');
  assert.equal(made.name, 'أمل سالم');
  await refuses(users.add(db, 'أمل سالم'), 'models.name_taken');
  await assert.rejects(async () => users.add(db, ' \u200f '), (error) => error.key === 'models.invalid');
  assert.deepEqual((await users.list(db)).map(({ guest }) => guest), [true, false]);
});

test('a user sees and changes nothing of another', async () => {
  const db = await fresh();
  const [amal, badr] = [(await users.add(db, 'أمل')).id, (await users.add(db, 'بدر')).id];
  const { chat, query, document, response } = await fill(db, amal);
  assert.equal((await chats.list(db, badr)).length + (await documents.list(db, badr)).length, 0);
  const store = storeOf(db, badr);
  for (const act of [() => chats.get(db, badr, chat.id), () => chats.exchanges(db, badr, chat.id), () => chats.remove(db, badr, chat.id),
    () => chats.update(db, badr, chat.id, { title: 'x' }), () => chats.removeQuery(db, badr, query.id),
    () => documents.textOf(db, badr, document.id), () => documents.remove(db, badr, document.id),
    () => store.updateResponse(response.id, { text: 'x' }), () => store.addQuery({ chat: chat.id, text: 'x', agent: 'bani' }),
    () => store.addResponse({ chat: chat.id, text: 'x', agent: 'bani' })]) await refuses(act, 'models.missing');
  assert.equal((await chats.exchanges(db, amal, chat.id))[0].responses[0].text, 'مسقط [1]');
});

test('a change cannot move a record to another owner', async () => {
  const db = await fresh();
  const amal = (await users.add(db, 'أمل')).id;
  const { response } = await fill(db, amal);
  const kept = await storeOf(db, amal).updateResponse(response.id, { user: 'x', id: 'y', created: 0, text: 'ج' });
  assert.deepEqual([kept.user, kept.id, kept.created, kept.text], [amal, response.id, response.created, 'ج']);
});

test('deletion takes everything that belongs, and nothing else', async () => {
  const db = await fresh();
  const [amal, badr] = [(await users.add(db, 'أمل')).id, (await users.add(db, 'بدر')).id];
  const { chat, document } = await fill(db, amal);
  await fill(db, amal, 'سؤال ثان');
  await fill(db, badr);
  const all = await records(db);
  await chats.remove(db, amal, chat.id);
  await documents.remove(db, amal, document.id);
  const less = await records(db);
  for (const name of ['chats', 'queries', 'responses', 'documents']) assert.equal(less[name], all[name] - 1, name);
  assert.ok(less.chunks < all.chunks);
  await users.remove(db, amal);
  for (const name of Object.keys(STORES)) assert.ok((await db.getAll(name)).every(({ user }) => user === badr), name);
  assert.equal(await users.clear(db, badr), 9);
  assert.deepEqual(Object.values(await records(db)).reduce((sum, one) => sum + one, 0), 1);
});

test('a backup brings everything back, twice is once, and another user gets ids of their own', async () => {
  const db = await fresh();
  const [amal, badr] = [(await users.add(db, 'أمل')).id, (await users.add(db, 'بدر')).id];
  const { document, chat } = await fill(db, amal);
  const text = await documents.textOf(db, amal, document.id);
  const backup = await exportAll(db, amal);
  const again = await importAll(db, backup, amal);
  assert.equal(again.chats, 0);
  assert.equal(again.skipped, 9);
  const counts = await importAll(db, backup, badr);
  assert.deepEqual([counts.chats, counts.queries, counts.responses, counts.documents], [1, 1, 1, 1]);
  const [copy] = await documents.list(db, badr);
  assert.notEqual(copy.id, document.id);
  assert.equal(await documents.textOf(db, badr, copy.id), text);
  await users.clear(db, amal);
  assert.equal((await importAll(db, backup, amal)).skipped, 0);
  assert.equal(await documents.textOf(db, amal, document.id), text);
  const [exchange] = await chats.exchanges(db, amal, chat.id);
  assert.equal(exchange.responses[0].parts.bahith.text, 'مسقط [1]');
  const other = await fresh();
  const guest = (await users.guest(other)).id;
  await importAll(other, backup, guest);
  assert.equal((await json(await exportAll(other, guest))).stores.queries[0].text, 'ما عاصمة عُمان؟');
});

test('a backup of version 1 gets its titles', async () => {
  const db = await fresh();
  const user = (await users.guest(db)).id;
  const chat = { id: crypto.randomUUID(), created: 3 };
  const query = { id: crypto.randomUUID(), created: 9, chat: chat.id, text: 'سؤال قديم', agent: 'hakeem' };
  await importAll(db, file({ format: 'acai-backup', version: 1, stores: { chats: [chat], queries: [query] } }), user);
  assert.deepEqual((await chats.list(db, user)).map(({ title, updated }) => [title, updated]), [['سؤال قديم', 9]]);
});

test('hostile and damaged backups are refused with a key, and nothing is written', async () => {
  const db = await fresh();
  const user = (await users.guest(db)).id;
  await fill(db, user);
  const good = await json(await exportAll(db, user));
  const before = await records(db);
  const edit = (change) => {
    const copy = structuredClone(good);
    change(copy);
    return copy;
  };
  const raw = JSON.stringify(good);
  const cases = {
    'not JSON': ['{"format"', 'backup.not_a_backup'],
    'cut off': [raw.slice(0, -20), 'backup.not_a_backup'],
    'an array': ['[]', 'backup.not_a_backup'],
    'another format': [edit((all) => (all.format = 'x')), 'backup.not_a_backup'],
    'bytes that are no text': [new Blob([new Uint8Array([0xff, 0xfe, 0x00, 0x41])]), 'backup.not_a_backup'],
    'a newer version': [edit((all) => (all.version = 9)), 'backup.newer'],
    'a version that is none': [edit((all) => (all.version = '2')), 'backup.damaged'],
    'an unknown store': [edit((all) => (all.stores.users = [])), 'backup.damaged'],
    'a store that is no list': [edit((all) => (all.stores.chats = { length: 1 })), 'backup.damaged'],
    'a record that is null': [edit((all) => (all.stores.chats = [null])), 'backup.damaged'],
    'an id that is markup': [edit((all) => (all.stores.chats[0].id = '<img src=x onerror=alert(1)>')), 'backup.damaged'],
    'a number for a text': [edit((all) => (all.stores.queries[0].text = 5)), 'backup.damaged'],
    'an object for a text': [edit((all) => (all.stores.queries[0].text = { toString: 'x' })), 'backup.damaged'],
    'a text that is too long': [edit((all) => (all.stores.queries[0].text = 'a'.repeat(2 ** 20 + 1))), 'backup.damaged'],
    'an unknown field': [edit((all) => (all.stores.chats[0].html = '<script>')), 'backup.damaged'],
    'an agent that is none': [edit((all) => (all.stores.queries[0].agent = '../x')), 'backup.damaged'],
    'an unknown state': [edit((all) => (all.stores.responses[0].state = 'evil')), 'backup.damaged'],
    'a time in the far future': [edit((all) => (all.stores.chats[0].created = 1e18)), 'backup.damaged'],
    'the same id twice': [edit((all) => all.stores.chats.push(all.stores.chats[0])), 'backup.damaged'],
    'a question without its chat': [edit((all) => (all.stores.queries[0].chat = crypto.randomUUID())), 'backup.damaged'],
    'an answer to no question': [edit((all) => (all.stores.responses[0].query = crypto.randomUUID())), 'backup.damaged'],
    'a document with a gap': [edit((all) => all.stores.chunks.splice(1, 1)), 'backup.damaged'],
    'a document that is longer than said': [edit((all) => (all.stores.documents[0].characters += 1)), 'backup.damaged'],
    'a prototype key': [raw.replace('"parts":{', '"parts":{"__proto__":{"polluted":1},'), 'backup.damaged'],
    'a prototype key at the record': [raw.replace('"stores":{"chats":[{', '"stores":{"chats":[{"__proto__":{"user":"x"},'), 'backup.damaged'],
    'a constructor key deep inside': [edit((all) => (all.stores.responses[0].parts.bahith.a = [{ constructor: 1 }])), 'backup.damaged'],
    'nesting without end': [raw.replace('"parts":{', `"parts":{"a":${'['.repeat(60)}${']'.repeat(60)},`), 'backup.damaged'],
    'a file that is too large': [{ size: 2 ** 40, arrayBuffer: () => assert.fail('it was read') }, 'backup.too_large'],
  };
  for (const [name, [value, key]] of Object.entries(cases)) {
    const given = value instanceof Blob || value.arrayBuffer ? value : file(value);
    await assert.rejects(importAll(db, given, user), (error) => error.key === key, name);
    assert.deepEqual(await records(db), before, name);
  }
  assert.equal({}.polluted, undefined);
  await refuses(importAll(db, file(good), crypto.randomUUID()), 'models.missing');
});

test('what is half written is undone, and a full device is told', async () => {
  const db = await fresh();
  const user = (await users.guest(db)).id;
  await fill(db, user);
  const backup = await exportAll(db, user);
  await users.clear(db, user);
  const before = await records(db);
  const add = IDBObjectStore.prototype.add;
  let left = 3;
  IDBObjectStore.prototype.add = function full(...given) {
    left -= 1;
    if (left < 0) throw new DOMException('full', 'QuotaExceededError');
    return add.apply(this, given);
  };
  try {
    await refuses(importAll(db, backup, user), 'models.quota');
  } finally {
    IDBObjectStore.prototype.add = add;
  }
  assert.deepEqual(await records(db), before);
  assert.equal(told(new DOMException('x', 'QuotaExceededError')).key, 'models.quota');
  assert.equal(told(Object.assign(new Error('The disk is full'), {})).key, 'models.quota');
  db.close();
  await refuses(chats.list(db, user), 'models.closed');
});

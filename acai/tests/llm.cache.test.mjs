import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Cache } from '../services/llm/cache.js';
import { FolderSource } from '../services/llm/source.js';
import { MemoryStore } from '../services/llm/store.js';

const key = (name, file) => (error) => error.key === name && (!file || error.params.file === file);
const bytes = (length, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 251);
const entry = (content) => ({ bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') });
const contents = (seed = 1) => ({
  'config.json': bytes(10), 'tokenizer.json': bytes(20), 'tokenizer_config.json': bytes(5),
  'onnx/model.onnx': bytes(5000, seed), 'onnx/model.onnx_data': bytes(90000, seed) });
const manifest = (files) => ({ version: 1, name: 'm', context: 64, class: 'L', self_test: {},
  files: Object.fromEntries(Object.entries(files).map(([name, content]) => [name, entry(content)])),
  forms: { dense: { file: 'onnx/model.onnx', files: ['onnx/model.onnx', 'onnx/model.onnx_data'] } } });
const folder = (files, told = manifest(files)) => new FolderSource([
  ...Object.entries(files).map(([name, content]) => [name, new File([content], name)]),
  ['manifest.json', new File([JSON.stringify(told)], 'manifest.json')]]);

/** A server whose line breaks: `breaks` bytes are given by each answer in turn, then all of the rest. */
class Line {
  name = 'http://127.0.0.1/model/';
  asked = [];

  constructor(files, breaks = [], told = manifest(files)) {
    Object.assign(this, { files, breaks, told });
  }

  async manifest() {
    return JSON.stringify(this.told);
  }

  async open(name, from) {
    this.asked.push([name, from]);
    const rest = this.files[name].subarray(from);
    if (from && !rest.length) return null;
    const after = this.breaks.shift() ?? Infinity;
    return { from, stream: new ReadableStream({ start(controller) {
      if (Math.min(after, rest.length)) controller.enqueue(rest.slice(0, after));
      if (after < rest.length) setTimeout(() => controller.error(new TypeError('network error')), 5);
      else controller.close();
    } }) };
  }
}

/** Load all files of a source through a cache; the bytes by name, and the progress told. */
async function take(cache, source) {
  const found = await cache.manifest(source);
  const told = [];
  const names = Object.keys(found.manifest.files);
  const files = await cache.files(found.manifest, names, source, (event) => told.push(event));
  return { found, told, files };
}

test('files come whole, once, with their progress', async () => {
  const cache = new Cache(new MemoryStore());
  const source = new Line(contents());
  const { files, told, found } = await take(cache, source);
  for (const [name, content] of Object.entries(contents())) assert.deepEqual(new Uint8Array(files.get(name)), content);
  const total = Object.values(contents()).reduce((sum, content) => sum + content.length, 0);
  assert.equal(told.at(-1).loaded, total);
  assert.ok(told.every((event) => event.total === total && event.loaded <= total && event.speed >= 0));
  assert.equal(source.asked.length, 5);
  await take(cache, source);
  assert.equal(source.asked.length, 5);
  await cache.keep(found.id, source.name, found.text);
  assert.deepEqual((await cache.list()).map(({ name, bytes: held }) => [name, held]), [['m', total]]);
});

test('a break is gone over where it was', async () => {
  const source = new Line({ ...contents() }, [10, 20, 5, 5000, 40000, 1]);
  const { files, told } = await take(new Cache(new MemoryStore()), source);
  assert.deepEqual(new Uint8Array(files.get('onnx/model.onnx_data')), contents()['onnx/model.onnx_data']);
  assert.deepEqual(source.asked.slice(-3), [['onnx/model.onnx_data', 0], ['onnx/model.onnx_data', 40000],
    ['onnx/model.onnx_data', 40001]]);
  assert.equal(told.at(-1).loaded, told.at(-1).total);
});

test('a line that stays broken is said, and what came stays', async () => {
  const cache = new Cache(new MemoryStore());
  const source = new Line(contents(), [10, 20, 5, 5000, 40000, 0, 0, 0, 0]);
  await assert.rejects(take(cache, source), key('llm.network', 'onnx/model.onnx_data'));
  source.asked.length = 0;
  await take(cache, source);
  assert.deepEqual(source.asked, [['onnx/model.onnx_data', 40000]]);
});

test('a corrupt file is fetched twice and named', async () => {
  for (const wrong of [bytes(90000, 2), bytes(80000), bytes(99000, 3)]) {
    const told = manifest(contents());
    const source = new Line({ ...contents(), 'onnx/model.onnx_data': wrong }, [], told);
    const cache = new Cache(new MemoryStore());
    await assert.rejects(take(cache, source), key('llm.corrupt', 'onnx/model.onnx_data'), String(wrong.length));
    assert.equal(source.asked.filter(([name, from]) => name === 'onnx/model.onnx_data' && !from).length, 2);
    source.files = contents();
    await take(cache, source); // and nothing of it stayed
  }
});

test('what rotted is fetched anew; without a source it is named', async () => {
  const store = new MemoryStore();
  const cache = new Cache(store);
  const source = new Line(contents());
  const { found } = await take(cache, source);
  const { sha256, bytes: length } = found.manifest.files['onnx/model.onnx'];
  const rot = async () => {
    await store.remove(sha256);
    await store.append(sha256, 0, new Blob([bytes(length, 9)]).stream(), length, () => {});
  };
  await rot();
  const { files } = await take(cache, source);
  assert.deepEqual(new Uint8Array(files.get('onnx/model.onnx')), contents()['onnx/model.onnx']);
  await rot();
  const alone = cache.files(found.manifest, ['onnx/model.onnx'], null, () => {});
  await assert.rejects(alone, key('llm.corrupt', 'onnx/model.onnx'));
});

test('a new version of an address replaces the old one; others keep what they share', async () => {
  const store = new MemoryStore();
  const cache = new Cache(store);
  const first = new Line(contents(1));
  const old = (await take(cache, first)).found;
  await cache.keep(old.id, first.name, old.text);
  const picked = folder(contents(1), { ...manifest(contents(1)), name: 'picked' });
  const own = (await take(cache, picked)).found;
  await cache.keep(own.id, picked.name, own.text);
  const second = new Line(contents(2));
  const next = (await take(cache, second)).found;
  await cache.keep(next.id, second.name, next.text);
  assert.deepEqual((await cache.list()).map(({ id }) => id).sort(), [own.id, next.id].sort());
  assert.ok(await store.size(old.manifest.files['onnx/model.onnx'].sha256)); // the picked one has it too
  await cache.forget(own.id);
  assert.equal(await store.size(old.manifest.files['onnx/model.onnx'].sha256), 0);
  assert.ok(await store.size(next.manifest.files['config.json'].sha256));
  await cache.forget(next.id);
  assert.equal(await store.size(next.manifest.files['config.json'].sha256), 0);
});

test('without its server a model is found by its address', async () => {
  const cache = new Cache(new MemoryStore());
  const source = new Line(contents());
  const { found } = await take(cache, source);
  source.manifest = async () => null;
  await assert.rejects(cache.manifest(source), key('llm.network', 'manifest.json'));
  await cache.keep(found.id, source.name, found.text);
  assert.deepEqual([(await cache.manifest(source)).id, (await cache.manifest(source)).online], [found.id, false]);
  await assert.rejects(cache.kept('absent'), key('llm.missing'));
});

test('a folder without room for a second copy is read where it lies, and checked', async () => {
  const store = new MemoryStore();
  store.append = async () => { throw new DOMException('full', 'QuotaExceededError'); };
  const cache = new Cache(store);
  const { files } = await take(cache, folder(contents()));
  assert.equal(files.get('onnx/model.onnx').byteLength, 5000);
  assert.equal(cache.saved, false);
  const wrong = folder({ ...contents(), 'tokenizer.json': bytes(20, 5) }, manifest(contents()));
  await assert.rejects(take(cache, wrong), key('llm.corrupt', 'tokenizer.json'));
  await assert.rejects(take(new Cache(store), new Line(contents())), key('llm.quota'));
  await assert.rejects(take(new Cache(new MemoryStore()), folder({}, manifest(contents()))), key('llm.missing'));
  await assert.rejects(cache.manifest(new FolderSource([])), key('llm.folder'));
});

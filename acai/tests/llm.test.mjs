import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fit, room } from '../services/llm/context.js';
import { below } from '../services/llm/folder.js';
import { check, common, download, ways } from '../services/llm/manifest.js';
import { admit, cache, estimate, limit, parameters } from '../services/llm/memory.js';
import { best, choose, logprob, random } from '../services/llm/sampling.js';
import { Stream } from '../services/llm/stream.js';

const hash = 'a'.repeat(64);
const entry = (bytes) => ({ bytes, sha256: hash });
const manifest = (change = {}) => ({
  version: 1, name: 'pocket', class: 'LlamaForCausalLM', context: 2048,
  files: { 'config.json': entry(10), 'tokenizer.json': entry(20), 'tokenizer_config.json': entry(5),
    'onnx/model.onnx': entry(7), 'onnx/model.onnx_data': entry(1000), 'onnx/model_q4dq.onnx': entry(9) },
  forms: { dense: { file: 'onnx/model.onnx', files: ['onnx/model.onnx', 'onnx/model.onnx_data'] },
    q4dq: { file: 'onnx/model_q4dq.onnx', files: ['onnx/model_q4dq.onnx'] } },
  self_test: { prompts: [{ prompt: 'ما', ids: [1, 2], tokens: [3] }] }, ...change });
const files = (change) => manifest({ files: { ...manifest().files, ...change } });
const key = (name) => (error) => error.key === name;
const config = { hidden_size: 256, num_hidden_layers: 4, intermediate_size: 768, vocab_size: 2048,
  num_attention_heads: 4, num_key_value_heads: 2, head_dim: 64, tie_word_embeddings: true };

test('a manifest is read', () => {
  const read = check(manifest());
  assert.deepEqual(common(read), ['config.json', 'tokenizer.json', 'tokenizer_config.json']);
  assert.equal(download(read, 'dense'), 35 + 1007);
  assert.deepEqual(check(manifest({ self_test: {} })).self_test.prompts, []);
});

test('a manifest that is wrong or hostile is refused', () => {
  const wrong = [null, [], 'x', 3, {}, manifest({ version: 2 }), manifest({ name: {} }), manifest({ context: 0 }),
    manifest({ context: '2048' }), manifest({ forms: {} }), manifest({ forms: { dense: { file: 'x', files: ['x'] } } }),
    manifest({ forms: { dense: { file: 'config.json', files: [] } } }),
    manifest({ self_test: { prompts: [{ ids: [] }] } }),
    manifest({ self_test: { prompts: [{ ids: [1], tokens: [-1] }] } }), files({ 'config.json': undefined }),
    files({ '../up.json': entry(1) }), files({ '/root.json': entry(1) }), files({ 'a/../b': entry(1) }),
    files({ 'a//b': entry(1) }), files({ 'a\\b': entry(1) }), files({ 'https://x/y': entry(1) }),
    files({ '.hidden': entry(1) }), files({ 'b.json': { bytes: -1, sha256: hash } }),
    files({ 'b.json': { bytes: 1, sha256: 'x' } }), files({ 'b.json': entry(2 ** 31) }), files({ 'b.json': null })];
  for (const told of wrong) assert.throws(() => check(told), key('llm.manifest'), JSON.stringify(told));
});

test('a name of every object is no form', () => {
  assert.throws(() => ways(check(manifest()), { form: 'constructor', webgpu: false }), key('llm.manifest'));
});

test('WebGPU comes first, then the 4-bit download', () => {
  const read = check(manifest());
  assert.deepEqual(ways(read, { webgpu: true }), [{ device: 'webgpu', form: 'dense' },
    { device: 'wasm', form: 'q4dq' }, { device: 'wasm', form: 'dense' }]);
  assert.deepEqual(ways(read, { webgpu: false }).map(({ form }) => form), ['q4dq', 'dense']);
  assert.deepEqual(ways(read, { webgpu: false, form: 'dense' }), [{ device: 'wasm', form: 'dense' }]);
  assert.deepEqual(ways(read, { webgpu: true, device: 'wasm', form: 'q4dq' }), [{ device: 'wasm', form: 'q4dq' }]);
});

test('memory of a model, and its refusal', () => {
  assert.equal(parameters(config), 4 * (256 * 64 * 12 + 3 * 256 * 768) + 2048 * 256);
  assert.equal(cache(config, 2048), 2 * 4 * 4 * 2 * 64 * 2048);
  const read = check(manifest());
  assert.ok(admit(read, config, 'dense', 'wasm', 4) < 250e6);
  const seven = { hidden_size: 4096, num_hidden_layers: 32, intermediate_size: 11008, vocab_size: 64000,
    num_attention_heads: 32, tie_word_embeddings: false };
  assert.ok(Math.abs(parameters(seven) - 7.0e9) < 0.1e9);
  assert.throws(() => admit(read, seven, 'q4dq', 'wasm', 32),
    (error) => error.key === 'llm.memory' && error.params.needed > 28e9 && error.params.available < 4 * 2 ** 30);
  assert.equal(limit('wasm', 1), 0.6 * 2 ** 30); // a small phone
  assert.throws(() => admit(read, { ...config, hidden_size: 2048, num_hidden_layers: 24 }, 'dense', 'wasm', 1),
    key('llm.memory'));
  assert.ok(estimate(read, config, 'dense', 'wasm') > 4 * parameters(config));
});

test('greedy takes the first of the largest, and its probability', () => {
  const logits = Float32Array.from([0, Math.log(2), Math.log(2), 0]);
  assert.equal(best(logits), 1);
  assert.ok(Math.abs(logprob(logits, 1) - Math.log(2 / 6)) < 1e-6);
  assert.deepEqual(choose(logits), { token: 1, logprob: logprob(logits, 1) });
  assert.ok(Math.abs(choose(Float32Array.from([1000, -1000])).logprob) < 1e-6);
});

test('sampling follows the probabilities, keeps to the likely ones and repeats with its seed', () => {
  const logits = Float32Array.from([Math.log(0.5), Math.log(0.3), Math.log(0.15), Math.log(0.05)]);
  const draw = random(7);
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 20000; i++) counts[choose(logits, { temperature: 1, topP: 1, draw }).token] += 1;
  [0.5, 0.3, 0.15, 0.05].forEach((share, i) => assert.ok(Math.abs(counts[i] / 20000 - share) < 0.015, String(counts)));
  const likely = new Set();
  for (let i = 0; i < 500; i++) likely.add(choose(logits, { temperature: 1, topP: 0.75, draw }).token);
  assert.deepEqual([...likely].sort(), [0, 1]);
  const cold = Array.from({ length: 200 }, () => choose(logits, { temperature: 0.05, topP: 1, draw }).token);
  assert.ok(cold.every((token) => token === 0));
  const run = (seed) => {
    const again = random(seed);
    return Array.from({ length: 50 }, () => choose(logits, { temperature: 1, draw: again }).token).join();
  };
  assert.equal(run(1), run(1));
  assert.notEqual(run(1), run(2));
});

test('text never ends inside a character', () => {
  const text = 'مرحباً 👩‍🔬 في البحرين — ok';
  const bytes = [...new TextEncoder().encode(text)];
  const decode = (ids) => new TextDecoder().decode(Uint8Array.from(ids));
  const stream = new Stream(decode);
  const parts = bytes.map((byte) => stream.push(byte)); // a token for every byte
  assert.equal(parts.join('') + stream.end(), text);
  for (const part of parts) assert.ok(!part.includes('\uFFFD'));
  const cut = new Stream(decode);
  const shown = bytes.slice(0, 3).map((byte) => cut.push(byte)).join('') + cut.end();
  assert.equal(shown, 'م'); // the half of a letter is left out
});

test('spaces that a decoder drops at the beginning are kept between tokens', () => {
  const words = ['▁نعم', '▁هذا', '▁صحيح', '.'];
  const decode = (ids) => ids.map((id) => words[id]).join('').replaceAll('▁', ' ').replace(/^ /, '');
  const stream = new Stream(decode);
  assert.equal([0, 1, 2, 3, 1, 2, 3, 0, 1, 3].map((id) => stream.push(id)).join('') + stream.end(),
    'نعم هذا صحيح. هذا صحيح. نعم هذا.');
});

test('the oldest turns go first, the system prompt and the question stay', () => {
  const encode = (messages) => messages.flatMap(({ content }) => Array.from(content, () => 1));
  const turn = (role, length) => ({ role, content: 'x'.repeat(length) });
  const talk = [turn('system', 10), turn('user', 20), turn('assistant', 20), turn('user', 20), turn('assistant', 20),
    turn('user', 5)];
  assert.deepEqual(fit(talk, encode, 95), { ids: Array(95).fill(1), dropped: 0 });
  assert.deepEqual([fit(talk, encode, 94).ids.length, fit(talk, encode, 94).dropped], [55, 2]);
  assert.deepEqual([fit(talk, encode, 20).ids.length, fit(talk, encode, 20).dropped], [15, 4]);
  assert.throws(() => fit(talk, encode, 14), (error) => error.key === 'llm.context' && error.params.needed === 15);
  assert.throws(() => fit([turn('system', 3)], encode, 50), key('llm.context'));
  assert.equal(room(2048, 256), 1792);
  assert.equal(room(2048, 4096), 1024);
});

test('the folder of the manifest is found', () => {
  const pick = (...paths) => below(paths.map((path) => [path, path])).map(([path]) => path);
  assert.deepEqual(pick('m/manifest.json', 'm/onnx/a', 'x'), ['manifest.json', 'onnx/a']);
  assert.deepEqual(pick('manifest.json', 'sub/manifest.json'), ['manifest.json', 'sub/manifest.json']);
  assert.throws(() => pick('a/manifest.json', 'b/manifest.json'), key('llm.folder'));
  assert.throws(() => pick('a/config.json'), key('llm.folder'));
  assert.throws(() => pick('manifest.json', ...Array.from({ length: 3000 }, (_, i) => `f${i}`)), key('llm.folder'));
});

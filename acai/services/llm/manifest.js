// The manifest of an exported model: its forms, the files of each with size and sha256, the self-test.
import { LLMError } from './errors.js';

/** Size of a file from which it cannot be held in one buffer. */
const LARGEST = 2 ** 31 - 1;
const NAME = /^(?!.*(?:^|\/)\.)[\w.+@-]+(?:\/[\w.+@-]+)*$/u; // plain relative paths, nothing hidden, nothing above

/**
 * @typedef {{bytes: number, sha256: string}} Entry
 * @typedef {{file: string, files: string[], download: number}} Form
 * @typedef {{prompt: string, ids: number[], tokens: number[]}} Test
 * @typedef {{name: string, class: string, context: number, forms: Record<string, Form>, files: Record<string, Entry>,
 *   self_test: {prompts?: Test[], parity?: object}, facts?: object}} Manifest
 */

const whole = (value, least = 0, most = Number.MAX_SAFE_INTEGER) =>
  Number.isInteger(value) && value >= least && value <= most;
const ids = (value) => Array.isArray(value) && value.length > 0 && value.length < 4096
  && value.every((id) => whole(id));

/**
 * Check a manifest, which may come from anybody's folder.
 * @param {unknown} told what JSON.parse gave
 * @returns {Manifest}
 * @throws {LLMError} llm.manifest with the part that is wrong
 */
export function check(told) {
  const wrong = (what) => new LLMError('llm.manifest', { what });
  if (!told || typeof told !== 'object' || Array.isArray(told)) throw wrong('manifest.json');
  if (told.version !== 1) throw wrong('version');
  if (typeof told.name !== 'string' || told.name.length > 300) throw wrong('name');
  if (!whole(told.context, 16)) throw wrong('context');
  for (const part of ['files', 'forms']) if (!told[part] || typeof told[part] !== 'object') throw wrong(part);
  for (const [name, entry] of Object.entries(told.files)) {
    if (!NAME.test(name)) throw wrong(name.slice(0, 100));
    if (!whole(entry?.bytes, 0, LARGEST) || !/^[0-9a-f]{64}$/.test(entry.sha256)) throw wrong(name);
  }
  const known = (name) => typeof name === 'string' && Object.hasOwn(told.files, name);
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) if (!known(name)) throw wrong(name);
  const forms = Object.entries(told.forms);
  if (!forms.length) throw wrong('forms');
  for (const [name, form] of forms) {
    if (!known(form?.file) || !Array.isArray(form.files) || !form.files.every(known)
      || !form.files.includes(form.file)) throw wrong(name.slice(0, 100));
  }
  const tests = told.self_test?.prompts ?? [];
  if (!Array.isArray(tests) || !tests.every((test) => ids(test?.ids) && ids(test.tokens))) throw wrong('self_test');
  return { ...told, self_test: { ...told.self_test, prompts: tests } };
}

/** Files of a model besides the forms' weights: configuration and tokenizer. */
export function common(manifest) {
  return Object.keys(manifest.files).filter((name) => !name.startsWith('onnx/'));
}

/** Bytes to hold for a form: its own files and the common ones. */
export function download(manifest, form) {
  const names = new Set([...common(manifest), ...manifest.forms[form].files]);
  return [...names].reduce((sum, name) => sum + manifest.files[name].bytes, 0);
}

/**
 * Ways to run a model, best first: WebGPU with 4-bit matrices or dense, then wasm with 4-bit download or dense.
 * The int8 form answers a little differently from PyTorch, so it is only taken when asked for or alone.
 * @param {Manifest} manifest
 * @param {{device?: 'webgpu'|'wasm', form?: string, webgpu: boolean}} wish webgpu: whether an adapter was found
 * @returns {{device: 'webgpu'|'wasm', form: string}[]}
 */
export function ways(manifest, { device, form, webgpu }) {
  const has = (name) => Object.hasOwn(manifest.forms, name);
  if (form && !has(form)) throw new LLMError('llm.manifest', { what: form });
  const order = { webgpu: ['q4', 'dense'], wasm: ['q4dq', 'dense'] };
  const found = [];
  for (const place of ['webgpu', 'wasm']) {
    if (device ? device !== place : place === 'webgpu' && !webgpu) continue;
    const chosen = form ? [form] : order[place].filter(has);
    if (place === 'webgpu') chosen.splice(1); // a second try on the same adapter would fail as the first
    found.push(...(chosen.length ? chosen : has('int8') ? ['int8'] : Object.keys(manifest.forms).slice(0, 1))
      .map((name) => ({ device: place, form: name })));
  }
  return found;
}

/**
 * Retrieval over ACAI's bundled corpus: raw words against stems, and stems against stems with letter grams.
 *
 * `node benchmarks/retrieval.mjs [--split test|dev|all] [--json]` prints a section for RESULTS.md, or the numbers behind it.
 * A question hits at k when one of the first k passages is of its document and holds its phrase. The field weights and the
 * size of the grams were chosen on the development questions alone; a question's half comes from a hash of its text.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { Engine, MODES } from '../acai/services/retrieval/engine.js';

const ROOT = new URL('../', import.meta.url);
const DEV_SHARE = 96 / 256;
const K = [1, 5];
const Z = 1.959964;
const NAMES = { raw: 'normalised words', stemmed: 'stems', grams: 'stems and 3-grams' };

const text = (path) => readFileSync(new URL(path, ROOT), 'utf8');

/** @returns {{id: string, question: string, variety: string, document: string, phrase: string}[]} */
export const questions = () => text('data/retrieval/questions.jsonl').trim().split('\n').map((line) => JSON.parse(line));

/** `dev` or `test`, from the question's own text. */
export const split = ({ question }) => (createHash('sha256').update(question).digest()[0] / 256 < DEV_SHARE ? 'dev' : 'test');

/** @returns {{id: string, title: string, text: string}[]} the bundled documents */
export function corpus() {
  const { documents } = JSON.parse(text('acai/corpus/corpus.json'));
  return documents.map(({ id, title, file }) => ({ id, title, text: text(`acai/corpus/${file}`) }));
}

/** An engine that holds the corpus. */
export function build(options) {
  const engine = new Engine(options);
  for (const document of corpus()) engine.add(document);
  return engine;
}

/** The place of the first right passage, counted from 1, or Infinity. */
export function place(engine, { question, document, phrase }, k = Math.max(...K)) {
  const at = engine.search(question, { k }).findIndex((passage) => passage.document === document && passage.text.includes(phrase));
  return at < 0 ? Infinity : at + 1;
}

/** Wilson's interval of a share, in percent. */
export function wilson(hits, count) {
  const share = hits / count;
  const middle = share + Z ** 2 / (2 * count);
  const half = Z * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2));
  return [middle - half, middle + half].map((bound) => (100 * bound) / (1 + Z ** 2 / count));
}

/** Two sided exact sign test of the questions that differ. */
export function signTest(better, worse) {
  const count = better + worse;
  let [term, sum] = [0.5 ** count, 0];
  for (let at = 0; at <= Math.min(better, worse); at += 1) {
    sum += term;
    term *= (count - at) / (at + 1);
  }
  return Math.min(1, 2 * sum);
}

/** Hits of every mode and pairs of neighbouring modes, for one group of questions. */
function measure(group, places) {
  const hits = (mode, k) => group.map((question) => places[mode].get(question.id) <= k);
  const shares = MODES.map((mode) => {
    const at = K.map((k) => [k, hits(mode, k).filter(Boolean).length]);
    return { mode, n: group.length, hits: Object.fromEntries(at) };
  });
  const pairs = [['raw', 'stemmed'], ['stemmed', 'grams'], ['raw', 'grams']].flatMap(([from, to]) =>
    K.map((k) => {
      const [before, after] = [hits(from, k), hits(to, k)];
      const better = after.filter((hit, at) => hit && !before[at]).length;
      const worse = before.filter((hit, at) => hit && !after[at]).length;
      return { from, to, k, better, worse, same: group.length - better - worse, p: signTest(better, worse) };
    }),
  );
  return { shares, pairs };
}

/** All numbers of the benchmark. */
export function run(which = 'test') {
  const asked = questions().filter((question) => which === 'all' || split(question) === which);
  const engines = Object.fromEntries(MODES.map((mode) => [mode, build({ mode })]));
  const places = Object.fromEntries(
    MODES.map((mode) => [mode, new Map(asked.map((question) => [question.id, place(engines[mode], question)]))]),
  );
  const groups = { all: asked };
  for (const variety of ['standard', 'bahraini']) groups[variety] = asked.filter((question) => question.variety === variety);
  return {
    split: which,
    passages: engines.raw.passages.size,
    documents: engines.raw.documents.size,
    groups: Object.fromEntries(Object.entries(groups).map(([name, group]) => [name, measure(group, places)])),
  };
}

/** The section of RESULTS.md. */
export function section({ split: which, passages, documents, groups }) {
  const labels = { all: 'all', standard: 'standard Arabic', bahraini: 'Bahraini' };
  const share = (hits, n) => {
    const [low, high] = wilson(hits, n);
    return `${((100 * hits) / n).toFixed(1)} [${low.toFixed(1)}, ${high.toFixed(1)}]`;
  };
  const rows = Object.entries(groups).flatMap(([name, { shares }]) =>
    shares.map(({ mode, n, hits }) => `| ${labels[name]} | ${n} | ${NAMES[mode]} | ${K.map((k) => share(hits[k], n)).join(' | ')} |`),
  );
  const paired = Object.entries(groups).flatMap(([name, { pairs }]) =>
    pairs.map(
      ({ from, to, k, better, worse, same, p }) =>
        `| ${labels[name]} | ${NAMES[from]} → ${NAMES[to]} | ${k} | ${better} | ${worse} | ${same} | ${p < 0.001 ? '< 0.001' : p.toFixed(3)} |`,
    ),
  );
  return [
    '## Retrieval: stems and 3-grams against plain words',
    '',
    '`node benchmarks/retrieval.mjs`',
    '',
    `Arabic questions over ${passages} passages of the ${documents} bundled documents, Arabic and English; BM25 throughout, the ${which}`,
    'questions only (the weights were chosen on the others). A hit: one of the first k passages is of the right document and holds',
    'the right phrase. Percent with 95 % Wilson intervals; the questions were written to differ in form from the passages.',
    '',
    '| questions | n | words | hit@1 | hit@5 |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    'Paired over the same questions; p is the exact sign test of better against worse, not corrected for the number of lines.',
    '',
    '| questions | change | k | better | worse | same | p |',
    '|---|---|---|---|---|---|---|',
    ...paired,
  ].join('\n');
}

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].split('/').at(-1))) {
  const { values } = parseArgs({ options: { split: { type: 'string', default: 'test' }, json: { type: 'boolean', default: false } } });
  if (!['test', 'dev', 'all'].includes(values.split)) {
    process.stderr.write(`retrieval: no split named ${values.split}; use test, dev or all\n`);
    process.exit(2);
  }
  const found = run(values.split);
  process.stdout.write(`${values.json ? JSON.stringify(found) : section(found)}\n`);
}

/** Retrieval: spelling, stems, grams, passages, BM25, the index, and the worker around it. */

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Worker as Thread } from 'node:worker_threads';

import { Part, rank } from '../services/retrieval/bm25.js';
import { LEAST, MOST, chunk, sentences } from '../services/retrieval/chunk.js';
import { Engine, MODES } from '../services/retrieval/engine.js';
import { grams, skeleton } from '../services/retrieval/ngrams.js';
import { normalise, tokens, words } from '../services/retrieval/normalise.js';
import { Retrieval } from '../services/retrieval/retrieval.js';
import { stem, stems } from '../services/retrieval/stem.js';

const CORPUS = new URL('../corpus/', import.meta.url);
const file = (name) => readFileSync(new URL(name, CORPUS), 'utf8');
const close = (value, wanted) => assert.ok(Math.abs(value - wanted) < 1e-9, `${value} is not ${wanted}`);

/** Numbers in [0, 1) that are the same at every start. */
function* numbers(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

test('one spelling for the ways a word is written', () => {
  const same = [
    ['أحمد', 'إحمد', 'آحمد', 'ٱحمد', 'احمد'], ['مَدْرَسَةٌ', 'مدرســـة', 'مدرسه'], ['مستشفى', 'مستشفي'], ['مسؤول', 'مسئول'], ['فائدة', 'فايدة'],
    ['رأس', 'راس'], ['سماء', 'سما'], ['شلونچ', 'شلونك', 'شلونک'], ['ﻻ', 'لا'], ['١٢٣', '۱۲۳', '123'], ['‏كتاب‎', 'كتاب'], ['BANK', 'bank', 'Ｂａｎｋ'],
  ];
  for (const [first, ...others] of same) for (const other of others) assert.equal(normalise(other), normalise(first), `${first} ${other}`);
  assert.notEqual(normalise('علم'), normalise('عالم'));
  for (const text of ['شُؤُونُ المُؤسَّسةِ، ١٢٫٥٪', file('grammar-hamza.md'), file('dialect-sounds.md')]) {
    assert.equal(normalise(normalise(text)), normalise(text));
  }
});

test('words keep their places in the text', () => {
  const text = 'قالَ: «الـPDF بـ٥٠٠ دينارٍ»، ١٬٢٣٤٫٥ or 1,234.5; don’t—ﷺ';
  const expected = ['قال', 'ال', 'pdf', 'ب', '500', 'دينار', '1234.5', 'or', '1234.5', "don't", 'صلي', 'الله', 'عليه', 'وسلم'];
  assert.deepEqual(words(text), expected);
  const places = Object.fromEntries(tokens(text).map(({ word, start, end }) => [word, text.slice(start, end)]));
  assert.equal(places['قال'], 'قالَ');
  assert.equal(places.pdf, 'PDF');
  assert.equal(places['دينار'], 'دينارٍ');
  assert.equal(places['الله'], 'ﷺ');
  assert.deepEqual(words('  ، … 😀 ـ ً '), []);
});

test('the forms of a word share a stem, different words do not', () => {
  const families = [
    'حساب الحساب حسابي حسابات بالحساب والحسابات حسابك حساباتهم هالحساب للحساب', 'بطاقة البطاقة بطاقتي بطاقات بالبطاقات بطاقته وبطاقتها بطاقتچ',
    'موظف موظفون الموظفين وموظفات موظفو', 'بحرين البحرين بحريني البحرينية البحرينيين', 'سيارة سيارتي السيارات سيارتهما كالسيارات', 'قانون القانون قانوني قانونية',
    'اتفاق اتفاقية الاتفاقيات', 'التزام الالتزام بالالتزامات', 'لغة اللغات لغات', 'accounts account', 'transferred transfer transferring transfers', 'company companies',
  ];
  const first = families.map((family) => {
    const all = family.split(' ').map((word) => stems(normalise(word)));
    const shared = all.reduce((left, right) => left.filter((one) => right.includes(one)));
    assert.ok(shared.length, family);
    return shared[0];
  });
  assert.equal(new Set(first).size, families.length);
  for (const [one, other] of [['حساب', 'حاسب'], ['كتاب', 'كاتب'], ['بحر', 'بحرين'], ['الله', 'له'], ['bus', 'business'], ['قلم', 'ظلم']]) {
    assert.notEqual(stem(normalise(one)), stem(normalise(other)), `${one} ${other}`);
  }
});

test('a stem is never empty and never longer than its word', () => {
  for (const word of words(readdirSync(CORPUS).filter((name) => name.endsWith('.md')).map(file).join('\n'))) {
    for (const found of stems(word)) assert.ok(found.length > 0 && found.length <= word.length, word);
  }
});

test('broken plurals share grams with their singulars', () => {
  const pairs = ['قلم أقلام', 'بنك بنوك', 'مصرف مصارف', 'كتاب كتب', 'عقد عقود', 'مفتاح مفاتيح', 'قانون قوانين', 'شرط شروط', 'رسالة رسائل', 'وديعة ودائع', 'تاجر تجار'];
  for (const pair of pairs) {
    const [one, many] = pair.split(' ').map((word) => grams(stem(normalise(word))));
    if (!one.some((gram) => many.includes(gram))) assert.ok(['كتاب كتب', 'تاجر تجار'].includes(pair) && !one.length, pair);
  }
  assert.equal(skeleton('مصارف'), 'مصرف');
  assert.deepEqual(grams('مصارف'), ['مصر', 'صرف']);
  assert.deepEqual(grams('حوال'), []);
  assert.deepEqual(grams('account'), []);
});

test('passages are exact slices, whole sentences, and miss nothing', () => {
  for (const name of readdirSync(CORPUS).filter((found) => found.endsWith('.md'))) {
    const text = file(name);
    const passages = chunk(text);
    const covered = new Uint8Array(text.length);
    for (const { start, end, text: own } of passages) {
      assert.equal(own, text.slice(start, end));
      assert.equal(own, own.trim());
      assert.ok(words(own).length <= 1.4 * MOST + 10, name);
      covered.fill(1, start, end);
    }
    [...text].forEach((sign, at) => assert.ok(covered[at] || /\s/.test(sign), `${name} ${at}`));
    assert.deepEqual(passages.map(({ index }) => index), passages.map((_, at) => at));
  }
});

test('passages break at headings and repeat a sentence elsewhere', () => {
  const sentence = (word, count) => `${Array.from({ length: count }, () => word).join(' ')}.`;
  const body = Array.from({ length: 9 }, (_, at) => sentence(`كلمة${'ذ'.repeat(at)}`, 20)).join(' ');
  const [first, second, ...rest] = chunk(`# عنوان\n\n${body}\n\n## قسم\n\n${sentence('نص', 50)}`);
  assert.match(first.text, /^# عنوان/);
  assert.ok(words(first.text).length >= LEAST && words(first.text).length <= MOST);
  const last = sentences(first.text).at(-1);
  assert.ok(second.text.startsWith(first.text.slice(last.start, last.end)));
  assert.match(rest.at(-1).text, /^## قسم/);
  assert.equal(rest.at(-1).heading, 'عنوان قسم');
  const long = chunk(Array.from({ length: 1000 }, (_, at) => `w${at}`).join(' '));
  assert.ok(long.length >= 9 && long.every(({ text }) => words(text).length <= MOST * 1.3));
  assert.deepEqual(chunk(''), []);
  assert.deepEqual(chunk(' \n\n '), []);
  assert.equal(chunk('قيمته 3.14 دينارًا. انتهى!').length, 1);
  assert.equal(sentences('قيمته 3.14 دينارًا. انتهى؟ نعم').length, 3);
});

test('passages of any text cover it', () => {
  const random = numbers(7);
  const pick = (list) => list[Math.floor(random.next().value * list.length)];
  for (let round = 0; round < 60; round += 1) {
    const text = Array.from({ length: 400 }, () => pick(['كلمة ', 'word ', '. ', '؟\n', '\n\n', '# عنوان\n', '3.5 ', '«', '» ', '\r\n', '  ', 'أطول', '😀 '])).join('');
    const covered = new Uint8Array(text.length);
    for (const { start, end, text: own } of chunk(text)) {
      assert.equal(own, text.slice(start, end));
      covered.fill(1, start, end);
    }
    for (let at = 0; at < text.length; at += 1) assert.ok(covered[at] || /\s/.test(text[at]), `${round} ${at}`);
  }
});

test('BM25 gives the numbers of the formula worked out by hand', () => {
  const part = new Part(['text']);
  part.add(1, { text: ['a', 'b'] });
  part.add(2, { text: ['a', 'a', 'c'] });
  part.add(3, { text: ['b'] });
  const ask = (...terms) => rank([part], { text: new Map(terms) }, { text: 1 });
  // N = 3, mean length 2; a: n = 2, idf = ln(1 + 1.5/2.5) = ln 1.6; K of length 2 is 1.2, of length 3 is 1.2 · 1.375 = 1.65
  const [best, second] = ask(['a', 1]);
  assert.deepEqual([best.id, second.id], [2, 1]);
  close(best.score, Math.log(1.6) * (2 * 2.2) / 3.65);
  close(best.score, 0.5665797174469142);
  close(second.score, 0.47000362924573563);
  // c: n = 1, idf = ln(1 + 2.5/1.5); tf 1 in length 3
  close(ask(['c', 2])[0].score, 2 * Math.log(8 / 3) * 2.2 / 2.65);
  // two terms add up; b in a text of length 1 has K = 1.2 · (0.25 + 0.375) = 0.75
  const both = ask(['a', 1], ['b', 1]);
  close(both.find(({ id }) => id === 1).score, 2 * Math.log(1.6));
  close(both.find(({ id }) => id === 3).score, Math.log(1.6) * 2.2 / 1.75);
  assert.deepEqual(ask(['missing', 1]), []);
});

test('fields have weights, equal scores keep their order, a removed passage leaves no trace', () => {
  const terms = [{ title: ['x'], text: ['y', 'z'] }, { title: ['y'], text: ['x', 'x'] }, { title: ['y'], text: ['x', 'x'] }];
  const build = (list) => list.reduce((part, [id, own]) => (part.add(id, own), part), new Part(['title', 'text']));
  const all = build(terms.map((own, id) => [id, own]));
  const query = { title: new Map([['x', 1]]), text: new Map([['x', 1]]) };
  assert.equal(rank([all], query, { title: 9, text: 1 })[0].id, 0);
  assert.deepEqual(rank([all], query, { title: 0, text: 1 }).map(({ id }) => id), [1, 2, 0]);
  all.add(9, { title: ['x', 'x'], text: ['x'] });
  all.remove(9, { title: ['x', 'x'], text: ['x'] });
  const fresh = build(terms.map((own, id) => [id, own]));
  const scores = (part) => rank([part], query, { title: 1, text: 1 }).map(({ id, score }) => [id, score]);
  assert.deepEqual(scores(all), scores(fresh));
  const [one, two] = [build([[0, terms[0]]]), build([[1, terms[1]], [2, terms[2]]])];
  assert.deepEqual(rank([one, two], query, { title: 1, text: 1 }).map(({ id, score }) => [id, score]), scores(fresh));
});

test('search finds words in other forms, in every mode what that mode can', () => {
  const documents = [
    ['plural', 'تُفتح المصارف صباحًا ويُمنح العملاء بطاقات جديدة.'],
    ['other', 'تنمو الأشجار في الغابة وتشرب من مياه الأمطار.'],
    ['english', 'Transfers are settled by the central bank every day.'],
  ];
  const found = (mode, query) => {
    const engine = new Engine({ mode });
    for (const [id, text] of documents) engine.add({ id, title: id, text });
    return engine.search(query).map(({ document }) => document)[0];
  };
  assert.deepEqual(MODES.map((mode) => found(mode, 'بطاقتي')), [undefined, 'plural', 'plural']);
  assert.deepEqual(MODES.map((mode) => found(mode, 'مصرف')), [undefined, undefined, 'plural']);
  assert.deepEqual(MODES.map((mode) => found(mode, 'transferred')), [undefined, 'english', 'english']);
  assert.deepEqual(MODES.map((mode) => found(mode, 'الأمطار')), ['other', 'other', 'other']);
});

test('a passage says where it stands and what to mark', () => {
  const engine = new Engine();
  const text = `# دليل\n\n${'جملة لا تعني شيئًا هنا. '.repeat(40)}\n\n## البطاقات\n\nإذا ضاعت بطاقتك فأوقفها من التطبيق في الحال ثم أخبر المصرف.`;
  engine.add({ id: 'guide', title: 'دليل', text });
  const [best] = engine.search('ضاعت البطاقة');
  assert.equal(best.text, text.slice(best.start, best.end));
  assert.ok(best.score > 0 && best.title === 'دليل' && best.document === 'guide');
  const marked = best.highlights.map(([start, end]) => best.text.slice(start, end));
  assert.ok(marked.includes('ضاعت') && marked.includes('بطاقتك') && marked.includes('البطاقات'));
  assert.equal(best.snippet.text, best.text.slice(best.snippet.start, best.snippet.end));
  for (const [start, end] of best.snippet.highlights) assert.ok(marked.includes(best.snippet.text.slice(start, end)));
  assert.ok(best.snippet.highlights.length > 0);
});

test('one user sees neither the documents of another nor their effect', () => {
  const shared = { id: 'shared', title: 'عام', text: 'الحوالة تصل في الحال إلى المصرف.' };
  const own = { id: 'own', title: 'لي', text: 'حوالة سرية من أحمد إلى منى.', user: 'a' };
  const engine = new Engine();
  engine.add(shared);
  engine.add(own);
  for (let at = 0; at < 20; at += 1) engine.add({ id: `b${at}`, title: 'غيري', text: `حوالة الحوالات رقم ${at}`, user: 'b' });
  const documents = (user) => engine.search('الحوالات', { user, k: 50 }).map(({ document }) => document);
  assert.deepEqual(documents('a').sort(), ['own', 'shared']);
  assert.deepEqual(documents(undefined), ['shared']);
  assert.equal(documents('b').length, 21);
  const alone = new Engine();
  alone.add(shared);
  alone.add(own);
  const scores = (index) => index.search('الحوالات', { user: 'a' }).map(({ document, score }) => [document, score]);
  assert.deepEqual(scores(engine), scores(alone));
});

test('documents are replaced and removed, by their owner', () => {
  const engine = new Engine();
  const ask = (query, user) => engine.search(query, { user }).map(({ document }) => document);
  engine.add({ id: 'd', title: '', text: 'الزيتون شجرة مباركة.', user: 'a' });
  engine.add({ id: 'd', title: '', text: 'النخيل شجرة طويلة.', user: 'a' });
  engine.add({ id: 'd', title: '', text: 'النخيل في البحرين.', user: 'b' });
  engine.add({ id: 'd', title: '', text: 'النخيل للجميع.' });
  assert.deepEqual(ask('الزيتون', 'a'), []);
  assert.equal(ask('النخيل', 'a').length, 2);
  assert.equal(engine.remove('d', { user: 'a' }), true);
  assert.equal(engine.remove('d', { user: 'a' }), false);
  assert.equal(ask('النخيل', 'b').length, 2);
  assert.equal(engine.remove('d'), true, 'of every user');
  assert.deepEqual(ask('النخيل', 'b'), ['d'], 'the shared one is still there');
  assert.equal(engine.remove('d'), true);
  assert.equal(engine.remove('d'), false);
  assert.deepEqual([engine.parts.size, engine.passages.size, engine.documents.size], [0, 0, 0]);
});

test('strange queries and documents do no harm', () => {
  const engine = new Engine();
  assert.deepEqual(engine.search('سؤال'), []);
  for (const id of ['__proto__', 'constructor', '<script>alert(1)</script>']) engine.add({ id, title: id, text: `${id} constructor __proto__ نص` });
  assert.equal(engine.search('constructor').length, 3);
  for (const query of ['', '   ', '؟؟؟', '\u0000', '(((', 'x'.repeat(1e6), 'كلمة '.repeat(1e5), '\ud800', '\u202e']) assert.ok(Array.isArray(engine.search(query)));
  assert.equal(engine.add({ id: 'empty', title: '', text: '' }), 0);
  assert.throws(() => engine.add({ id: 'x' }), TypeError);
  assert.throws(() => engine.add({ id: 'x', text: 'سر', user: null }), TypeError);
  assert.equal(engine.search('نص', { k: 2 }).length, 2);
});

/** index.worker.js in a thread of node, with a web worker's interface. */
function worker() {
  const path = new URL('../services/retrieval/index.worker.js', import.meta.url).href;
  const source = `const { parentPort } = require('node:worker_threads');
    globalThis.postMessage = (message) => parentPort.postMessage(message);
    const ready = import(${JSON.stringify(path)});
    parentPort.on('message', (data) => ready.then(() => globalThis.onmessage({ data })));`;
  const thread = new Thread(source, { eval: true });
  const web = { postMessage: (message) => thread.postMessage(message), terminate: () => thread.terminate() };
  thread.on('message', (data) => web.onmessage({ data }));
  thread.on('error', (error) => web.onerror(error));
  return web;
}

test('the worker answers every call, and an error is the call’s own', async () => {
  const retrieval = new Retrieval({ worker: worker() });
  assert.equal(await retrieval.ready(), true);
  const added = [1, 2, 3].map((at) => retrieval.add({ id: `d${at}`, title: '', text: `الوثيقة ${at} عن الزكاة`, user: 'a' }));
  assert.deepEqual(await Promise.all(added), [1, 1, 1]);
  await assert.rejects(retrieval.add({ id: 'broken' }), /needs an id and a text/);
  const [one, none] = await Promise.all([retrieval.search('وثيقة', { k: 2, user: 'a' }), retrieval.search('وثيقة', { user: 'b' })]);
  assert.equal(one.length, 2);
  assert.deepEqual(none, []);
  assert.equal(await retrieval.remove('d1', { user: 'a' }), true);
  assert.equal((await retrieval.search('وثيقة', { user: 'a' })).length, 2);
  const late = retrieval.search('وثيقة');
  retrieval.close();
  await assert.rejects(late, /closed/);
  await assert.rejects(retrieval.ready(), /closed/);
});

test('the bundled corpus is what its index says', () => {
  const { licence, documents } = JSON.parse(file('corpus.json'));
  assert.equal(licence, 'CC BY 4.0');
  const files = readdirSync(CORPUS).filter((name) => name.endsWith('.md') && name !== 'README.md');
  assert.deepEqual(documents.map((document) => document.file), files.sort());
  const written = documents.filter(({ area }) => area !== 'world');
  const arabic = written.filter(({ language }) => language === 'ar');
  const english = written.filter(({ language }) => language === 'en');
  assert.ok(arabic.length >= 24 && english.length >= arabic.length / 3);
  for (const { id, area } of english) assert.ok(arabic.some((other) => `${other.id}.en` === id && other.area === area), id);
  for (const { id, file: name, title, area } of documents) {
    const text = file(name);
    assert.ok(text.startsWith(`# ${title}\n`) && id === name.replace(/\.md$/, ''), name);
    assert.ok(area === 'world' || (words(text).length >= 120 && words(text).length <= 450), `${name}: ${words(text).length} words`);
    if (area === 'bank') assert.match(text, /وليس استشارة|no legal advice|neither legal/);
    if (area === 'policy') assert.match(text, /نص تعليمي كُتب لهذا المشروع|Teaching text written for this project/);
  }
  assert.ok(documents.reduce((sum, { file: name }) => sum + chunk(file(name)).length, 0) >= 200);
});

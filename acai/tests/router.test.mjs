// The intent router: features, probabilities, threshold, the user's choice, and how it does on held-out prompts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { features, LONGEST, names, pieces } from '../router/features.js';
import { AGENTS, probabilities, route, THRESHOLD } from '../router/intent.js';
import { agents } from '../router/agents.js';

const model = JSON.parse(readFileSync(new URL('../router/intents.json', import.meta.url), 'utf8'));
const CUES = { ask: { whole: ['كم'], start: ['حسب'] }, none: { whole: [], start: [] } };

test('a prompt becomes words, light forms, pairs, grams and cues', () => {
  assert.deepEqual(pieces('كَمْ يُساوي ٣٫٥ + 12؟'), ['كم', 'يساوي', '0', '0', '+', '0']);
  const found = names('كم والحساب', CUES);
  for (const name of ['wكم', 'wوالحساب', 'sحساب', 'b^ كم', 'bكم والحساب', 'bوالحساب $', 'g^كم', 'cask', 'a0ask']) assert.ok(found.has(name), name);
  assert.ok(!found.has('cnone') && !found.has('cnumber'));
  assert.ok(names('3 و 4', CUES).has('cnumbers'));
});

test('a vector has length one and places inside the buckets, whatever the text', () => {
  for (const text of ['', '   ', '🙂🙂', 'ﷺ ½ ②', 'x'.repeat(100000), 'مرحبا\u202e <script>', '\ud800 bad']) {
    const vector = features(text, model);
    const length = [...vector.values()].reduce((sum, value) => sum + value ** 2, 0);
    assert.ok(Math.abs(length - 1) < 1e-9, text);
    for (const at of vector.keys()) assert.ok(Number.isInteger(at) && at >= 0 && at < model.buckets);
  }
  const start = 'ما جذر كلمة كتاب؟'.padEnd(LONGEST);
  assert.deepEqual(features(start, model), features(`${start} احسب مجموع العددين`, model));
});

test('probabilities sum to one and spelling does not matter', () => {
  const sum = probabilities('ما عاصمة عمان؟').reduce((total, one) => total + one, 0);
  assert.ok(Math.abs(sum - 1) < 1e-12);
  assert.deepEqual(probabilities('إستخرج العَلاقات'), probabilities('استخرج العلاقات'));
});

test('each agent gets what is meant for it, in three ways of speaking', () => {
  const wanted = {
    bahith: ['أين يقع مقر شركة النجمة؟', 'وين مقر شركة النجمة؟', 'Who founded Yasmin Company?'],
    musheer: ['ما رسوم تأخير سداد القرض؟ وماذا تنصحني؟', 'أبي قرض حق سيارة شنو تنصحني؟', 'Should I sign this loan contract?'],
    lughawi: ['ما جذر كلمة استغفار؟', 'شنو معنى كلمة دريشة بالفصحى؟', 'What is the root of this Arabic word?'],
    hakeem: ['احسب مجموع 14 و 18 ثم اطرح 6', 'عندي 40 دينار وصرفت 13 چم بقى؟', 'What is 15% of 640?'],
    muraqib: ['تحقق من صحة هذا الادعاء', 'هالخبر صج لو إشاعة؟', 'Is this claim true? Verify it.'],
    bani: ['استخرج الكيانات والعلاقات من النص', 'سو لي خريطة علاقات من الرد', 'Build a knowledge graph from this text'],
  };
  for (const [agent, texts] of Object.entries(wanted)) for (const text of texts) assert.equal(route(text).agent, agent, text);
});

test('who is not sure asks Bahith and says so; the user is always right', () => {
  for (const text of ['', '؟؟؟', '🙂', null]) {
    const way = route(text);
    assert.equal(way.agent, 'bahith');
    assert.equal(way.reason, 'unsure');
  }
  const doubtful = JSON.parse(readFileSync(new URL('../router/intents.json', import.meta.url), 'utf8')).threshold;
  assert.equal(doubtful, THRESHOLD);
  for (const agent of AGENTS) {
    const way = route('احسب 3 + 4', { chosen: agent });
    assert.equal(way.agent, agent);
    assert.equal(way.reason, 'user');
    assert.equal(way.guess, 'hakeem');
    assert.equal(way.confidence, way.scores[agent]);
  }
  assert.equal(route('احسب 3 + 4', { chosen: 'nobody' }).reason, 'model');
});

test('the registry holds the six agents of the classifier', () => {
  assert.deepEqual([...agents.keys()], AGENTS);
  for (const [id, agent] of agents) {
    assert.equal(agent.id, id);
    for (const part of [agent.name, agent.description]) assert.ok(part.ar && part.en && /\p{Script=Arabic}/u.test(part.ar));
    for (const part of ['prompt', 'parse', 'run']) assert.equal(typeof agent[part], 'function');
  }
});

test('the browser routes the sealed prompts as well as Python measured', () => {
  const rows = readFileSync(new URL('../../data/intents/prompts.jsonl', import.meta.url), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const sealed = rows.filter((row) => row.sealed);
  const right = sealed.filter((row) => route(row.text).agent === row.agent).length;
  assert.equal(sealed.length, model.measured.sealed.n);
  assert.equal(right, model.measured.sealed.right);
});

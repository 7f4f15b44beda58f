/** What each agent's answer looks like. Everything may come out of a backup: only texts, numbers and lists are taken. */

import { block, button, h, list, number, save, text } from './dom.js';
import { drawing } from './graph.js';
import { render } from './markdown.js';
import { link, opener } from './passage.js';
import { amount, has, percent, t } from './strings.js';

/** A key with its parameters as a sentence; agents by their names. */
export function sentence(app, { key, params = {} } = {}) {
  if (typeof key !== 'string' || !has(key)) return '';
  const told = { ...params };
  for (const name of ['agent', 'from', 'to']) if (name in told) told[name] = app.nameOf(text(told[name]));
  return t(key, told);
}

/** Notes below an answer. */
export function notes(app, part) {
  const told = [...new Set(list(part.notes).map((note) => sentence(app, note)).filter(Boolean))];
  return told.length ? h('ul', { class: 'notes' }, told.map((one) => block('li', one))) : null;
}

/** How sure the model was of its words. */
export function confidence(told) {
  const value = number(told?.value);
  if (value === null || value < 0 || value > 1) return null;
  return h('div', { class: 'confidence' },
    h('label', { class: 'row' }, h('span', null, t('answer.confidence')), h('meter', { min: 0, max: 1, low: 0.5, high: 0.7, optimum: 1, value }), h('b', null, percent(value))),
    h('p', { class: 'muted small' }, has(text(told.key)) ? t(told.key) : '', ' ', t('answer.confidence_meaning', { tokens: number(told.tokens) ?? 0, count: number(told.tokens) ?? 0 })));
}

/** The beginning of a text, cut at a space. */
const excerpt = (whole, most = 280) => (whole.length > most ? `${whole.slice(0, most).replace(/\s+\S*$/, '')}…` : whole);

function answer(app, part) {
  const body = h('div', { class: 'markdown', dir: 'auto' }, render(text(part.text)));
  link(app, body, part.sources);
  return body;
}

function sources(app, part) {
  const all = list(part.sources);
  if (!all.length) return null;
  const cited = new Set(Array.isArray(part.cited) ? part.cited : all.map(({ n }) => n));
  const item = (source) => h('li', null, opener(app, source, `[${text(source.n)}] ${text(source.passage?.title)}`, 'source'), block('p', excerpt(text(source.text)), { class: 'muted small' }));
  const [used, seen] = [all.filter(({ n }) => cited.has(n)), all.filter(({ n }) => !cited.has(n))];
  return h('div', { class: 'sources' },
    used.length ? [h('h4', null, t('answer.sources')), h('ol', { class: 'plain' }, used.map(item))] : null,
    seen.length ? h('details', null, h('summary', null, t('answer.other_passages', { count: seen.length })), h('ol', { class: 'plain' }, seen.map(item))) : null);
}

/** One step of Hakeem, with its equations computed again. */
export function step(one) {
  const checks = list(one.equations).map((equation) => h('li', { class: equation.correct ? 'right' : 'wrong' },
    h('bdi', { dir: 'ltr' }, `${text(equation.left)} = ${text(equation.said)}`), ' ',
    equation.correct ? t('step.right') : t('step.wrong', { expected: amount(number(equation.expected) ?? 0, 6) })));
  const alone = list(one.equations).length === 1 && text(one.text).replace(/\s/g, '') === `${text(one.equations[0].left)}=${text(one.equations[0].said)}`.replace(/\s/g, '');
  return h('li', { class: 'step' }, alone ? null : block('p', text(one.text), { class: 'wrap' }), checks.length ? h('ul', { class: 'checks plain' }, checks) : null);
}

function hakeem(app, part) {
  const steps = list(part.steps);
  if (!steps.length && !text(part.result)) return answer(app, part);
  return h('div', null,
    steps.length ? [h('h4', null, t('step.title')), h('ol', { class: 'steps' }, steps.map(step))] : null,
    text(part.result) ? h('p', { class: 'result', dir: 'auto' }, h('span', null, t('step.result')), ' ', h('strong', null, text(part.result))) : null);
}

/** Table with a caption that screen readers tell. */
const table = (caption, heads, rows, kind = '') => h('div', { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': caption },
  h('table', { class: kind }, h('caption', { class: 'hidden' }, caption), h('thead', null, h('tr', null, heads.map((head) => h('th', { scope: 'col' }, head)))), h('tbody', null, rows)));

/** A claim's row. */
export function claim(app, one) {
  const verdict = ['supported', 'refuted', 'unknown'].includes(one.verdict) ? one.verdict : 'unknown';
  const evidence = one.source && typeof one.source === 'object' ? opener(app, { ...one.source, n: one.n }, excerpt(text(one.source.text), 160), 'source') : null;
  const reason = has(text(one.reason)) ? h('span', { class: 'muted small' }, t(one.reason)) : null;
  return h('tr', null, block('td', text(one.text)), h('td', null, h('span', { class: `verdict ${verdict}` }, t(`verdict.${verdict}`))), h('td', { dir: 'auto' }, evidence ?? reason ?? '—'));
}

export const claimsTable = (rows) => table(t('claims.title'), [t('claims.claim'), t('claims.verdict'), t('claims.evidence')], rows, 'claims stack');

function muraqib(app, part) {
  const claims = list(part.claims);
  return claims.length ? claimsTable(claims.map((one) => claim(app, one))) : null;
}

/** A word that Lughawi analysed. */
function word(one) {
  const [best] = list(one.candidates);
  const root = text(best?.root) || (Array.isArray(best?.root) ? best.root.map(text).join('') : '');
  const variety = text(one.lexicon?.variety);
  return h('tr', null, block('th', text(one.word), { scope: 'row' }), block('td', [...root].join('\u00a0') || '—'), block('td', text(best?.pattern) || '—'),
    block('td', text(one.lexicon?.standard) || '—'), block('td', has(`variety.${variety}`) ? t(`variety.${variety}`) : '—'));
}

function lughawi(app, part) {
  const words = list(part.words);
  const model = part.model && typeof part.model === 'object' ? text(part.model.answer) || text(part.model.text) : '';
  const variety = text(part.variety?.variety);
  return h('div', null,
    model && part.formatLost !== true ? [h('h4', null, t('words.by_model')), block('p', model, { class: 'result wrap' })] : null,
    has(`variety.${variety}`) ? h('p', null, t('words.variety_is'), ' ', h('strong', null, t(`variety.${variety}`))) : null,
    part.converted && text(part.converted.text) ? [h('h4', null, t('words.by_lexicon')), block('p', text(part.converted.text), { class: 'wrap' })] : null,
    words.length ? table(t('words.title'), ['word', 'root', 'pattern', 'standard', 'variety'].map((name) => t(`words.${name}`)), words.map(word), 'words') : null,
    !words.length && !model ? answer(app, part) : null);
}

/** Bani's graph with its list and its files. */
export function graph(app, told) {
  const nodes = list(told?.nodes).filter((node) => text(node.id)).slice(0, 80).map((node) => ({ id: text(node.id), label: text(node.label) }));
  const known = new Map(nodes.map((node) => [node.id, node]));
  const edges = list(told?.edges).filter((edge) => known.has(edge.source) && known.has(edge.target)).slice(0, 200)
    .map((edge) => ({ source: edge.source, target: edge.target, label: text(edge.label) }));
  if (!edges.length) return null;
  const shown = { nodes, edges };
  const rows = edges.map((edge) => h('tr', null, block('td', known.get(edge.source).label), block('td', edge.label), block('td', known.get(edge.target).label)));
  const forms = { json: 'application/json', csv: 'text/csv', ttl: 'text/turtle' };
  return h('div', { class: 'graph' }, h('div', { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': t('graph.region') }, drawing(shown, t('graph.title', { nodes: nodes.length, edges: edges.length }))),
    h('details', { open: edges.length <= 6 }, h('summary', null, t('graph.list')), table(t('graph.list'), ['subject', 'relation', 'value'].map((name) => t(`graph.${name}`)), rows)),
    h('div', { class: 'row' }, h('span', { class: 'muted small' }, t('graph.export')),
      Object.entries(forms).map(([form, type]) => button(form.toUpperCase(), () => save(new Blob([app.graphAs(form, shown)], { type }), `acai-graph.${form}`), { icon: 'save', class: 'small', 'aria-label': t('graph.export_as', { form: form.toUpperCase() }) }))));
}

const bani = (app, part) => graph(app, part.graph);
const KINDS = { bahith: answer, musheer: answer, hakeem, muraqib, lughawi, bani };

/**
 * The view of what an agent ended with.
 * @param {object} app
 * @param {string} id of the agent
 * @param {object} part its `done` event, or what was stored of it
 * @param {object|null} sure its confidence event
 * @returns {Node[]}
 */
export function view(app, id, part, sure = null) {
  const body = (KINDS[id] ?? answer)(app, part) ?? (text(part.text) ? answer(app, part) : null);
  const grounded = ['bahith', 'musheer'].includes(id);
  return [body, grounded ? sources(app, part) : null, confidence(sure), notes(app, part)].filter(Boolean);
}

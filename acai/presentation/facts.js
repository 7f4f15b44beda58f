/** What the project measured of the model, out of the manifest's `facts`; what is not there is told as not measured. */

import { h, list, number } from './dom.js';
import { amount, bytes, percent, t } from './strings.js';

/**
 * A measured value: `facts[metric]` as a number or by language, or a row of `facts.metrics` as the project's records have
 * them ({metric, language, value}).
 * @param {unknown} facts
 * @param {string} metric
 * @param {string} [language]
 * @returns {number|null}
 */
export function measured(facts, metric, language = '') {
  if (!facts || typeof facts !== 'object') return null;
  const found = Object.hasOwn(facts, metric) ? facts[metric] : undefined;
  if (found && typeof found === 'object') return number(Object.hasOwn(found, language) ? found[language] : undefined);
  if (number(found) !== null) return language ? null : found;
  return number(list(facts.metrics).find((row) => row.metric === metric && (row.language ?? '') === language)?.value);
}

const row = (label, value) => h('div', { class: 'fact' }, h('dt', null, label), h('dd', { class: value === null ? 'muted' : '' }, value ?? t('facts.none')));

/** A value of both languages side by side, or the one that there is. */
function both(facts, metric, write) {
  const [ar, en] = ['ar', 'en'].map((language) => measured(facts, metric, language));
  if (ar === null && en === null) {
    const one = measured(facts, metric);
    return one === null ? null : write(one);
  }
  return [['ar', ar], ['en', en]].map(([language, value]) => h('span', { class: 'of' }, h('span', { class: 'muted small' }, t(`facts.${language}`)), ' ', value === null ? t('facts.none') : write(value)));
}

/** @param {unknown} facts @returns {HTMLElement} */
export function factsList(facts) {
  const times = (value) => t('facts.times', { ratio: amount(value, 2) });
  const ratio = measured(facts, 'compression_ratio');
  const [dense, packed] = [measured(facts, 'size_dense'), measured(facts, 'size_disk')];
  const sizes = dense !== null && packed !== null ? ` (${t('facts.sizes', { dense: bytes(dense), packed: bytes(packed) })})` : '';
  return h('dl', { class: 'facts' },
    row(t('facts.compression'), ratio === null ? null : times(ratio) + sizes),
    row(t('facts.perplexity'), both(facts, 'perplexity', (value) => amount(value, 2))),
    row(t('facts.perplexity_dense'), both(facts, 'perplexity_dense', (value) => amount(value, 2))),
    row(t('facts.retention'), both(facts, 'retention', (value) => percent(value, 1))));
}

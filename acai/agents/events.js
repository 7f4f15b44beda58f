/**
 * What an agent tells while it works. The orchestrator adds `agent` (who speaks) to every event.
 *
 * @typedef {{n: number, text: string, quote: {start: number, end: number}, passage: object}} Source
 *   what the model was shown as [n]: `passage` is the retrieval's, `quote` where the shown text stands in its text
 * @typedef {{type: 'status', key: string, params?: object, sources?: Source[]}} Status a key of the strings
 * @typedef {{type: 'token', text: string, token?: number, logprob?: number}} Token
 * @typedef {{type: 'citation', n: number, passage: object, text: string, quote: object}} Citation
 * @typedef {{type: 'step', index: number, kind: string, text: string}} Step with more fields, see the agent
 * @typedef {{type: 'claim', index: number, text: string, verdict: 'supported'|'refuted'|'unknown'}} Claim see muraqib.js
 * @typedef {{type: 'graph', nodes: object[], edges: object[]}} Graph
 * @typedef {{type: 'confidence', value: number|null, least: number|null, tokens: number, key: string}} Confidence
 * @typedef {{type: 'error', key: string, params?: object}} Fault
 * @typedef {{type: 'done', text: string, formatLost: boolean, aborted: boolean, looped: boolean, notes: {key: string, params?: object}[]}} Done
 *   the answer as it is to be kept and shown, in place of the tokens, with the agent's own fields
 * @typedef {Status|Token|Citation|Step|Claim|Graph|Confidence|Fault|Done} Event
 */

/** Every key of the strings that agents and orchestrator use, with the names of its parameters. */
export const KEYS = Object.freeze({
  'agents.routed': ['agent', 'percent'],
  'agents.unsure': ['agent', 'percent'],
  'agents.chosen': ['agent'],
  'agents.handover': ['from', 'to'],
  'agents.searching': [],
  'agents.found': ['count'],
  'agents.writing': [],
  'agents.checking': ['index', 'count'],
  'agents.analysing': [],
  'agents.no_evidence': [],
  'agents.not_in_sources': [],
  'agents.no_model': [],
  'agents.search_failed': [],
  'agents.model_failed': [],
  'agents.agent_failed': ['agent'],
  'agents.not_stored': [],
  'agents.empty_query': [],
  'agents.stopped': [],
  'agents.looped': [],
  'agents.format_lost': [],
  'agents.dropped_citations': ['count'],
  'agents.unsupported': ['count'],
  'agents.disclaimer': [],
  'agents.no_policy': [],
  'agents.by_rules': [],
  'agents.by_model': [],
  'agents.rules_disagree': [],
  'agents.no_steps': [],
  'agents.no_result': [],
  'agents.wrong_steps': ['count'],
  'agents.result_differs': [],
  'agents.no_claims': [],
  'agents.claims_left': ['count'],
  'agents.no_overlap': [],
  'agents.polarity': [],
  'agents.stated': [],
  'agents.no_citation': [],
  'agents.no_triples': [],
  'agents.ungrounded_triples': ['count'],
  'agents.confidence_high': [],
  'agents.confidence_medium': [],
  'agents.confidence_low': [],
  'agents.confidence_very_low': [],
  'agents.confidence_unknown': [],
});

/** @param {string} key @param {object} [params] @param {object} [more] @returns {Status} */
export const status = (key, params = {}, more = {}) => ({ type: 'status', key, params, ...more });

/** @param {string} key @param {object} [params] @returns {Fault} */
export const fault = (key, params = {}) => ({ type: 'error', key, params });

/** @param {object} fields @returns {Done} */
export const done = (fields) => ({ type: 'done', text: '', formatLost: false, aborted: false, looped: false, notes: [], ...fields });

/** What one writing left behind, as fields of `done`, and as notes. */
export function outcome(wrote, formatLost = false) {
  const lost = Boolean(!wrote.aborted && !wrote.error && (formatLost || wrote.looped));
  const notes = [];
  if (wrote.aborted) notes.push({ key: 'agents.stopped' });
  if (wrote.looped) notes.push({ key: 'agents.looped' });
  if (lost) notes.push({ key: 'agents.format_lost' });
  return { formatLost: lost, aborted: wrote.aborted, looped: wrote.looped, failed: Boolean(wrote.error), notes };
}

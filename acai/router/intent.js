/** Which agent a prompt is for: the trained classifier of intents.json, or the user's choice. */

import { features } from './features.js';
import trained from './intents.json' with { type: 'json' };

export const AGENTS = Object.freeze([...trained.agents]);
/** Below this probability nobody is sure, and Bahith, who answers from documents, takes the question. */
export const THRESHOLD = trained.threshold;
const FALLBACK = 'bahith';
const weights = Int8Array.from(atob(trained.weights), (letter) => letter.charCodeAt(0));

/** @param {string} text @returns {number[]} probability of each agent, in the order of AGENTS */
export function probabilities(text) {
  const logits = [...trained.bias];
  for (const [at, value] of features(text, trained)) {
    for (let n = 0; n < logits.length; n += 1) logits[n] += weights[at * logits.length + n] * trained.scale[n] * value;
  }
  const highest = Math.max(...logits);
  const likely = logits.map((logit) => Math.exp(logit - highest));
  const total = likely.reduce((sum, one) => sum + one, 0);
  return likely.map((one) => one / total);
}

/**
 * @typedef {{agent: string, confidence: number, scores: Record<string, number>, reason: 'model'|'unsure'|'user', guess: string}} Route
 * `confidence` is the classifier's probability of `agent`; `guess` the agent it finds likeliest; `reason` who decided:
 * the model, nobody for sure (then Bahith), or the user.
 */

/**
 * @param {string} text
 * @param {{chosen?: string|null}} [options] the user's own choice always wins
 * @returns {Route}
 */
export function route(text, { chosen } = {}) {
  const likely = probabilities(String(text ?? ''));
  const scores = Object.fromEntries(AGENTS.map((agent, n) => [agent, likely[n]]));
  const guess = AGENTS[likely.indexOf(Math.max(...likely))];
  if (AGENTS.includes(chosen)) return { agent: chosen, confidence: scores[chosen], scores, reason: 'user', guess };
  const sure = scores[guess] >= THRESHOLD && /[\p{L}\p{Nd}]/u.test(String(text ?? ''));
  const agent = sure ? guess : FALLBACK;
  return { agent, confidence: scores[agent], scores, reason: sure ? 'model' : 'unsure', guess };
}
